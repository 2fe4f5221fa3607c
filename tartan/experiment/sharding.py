"""A run's body, divided among its processes."""

import torch

from tartan.body import LiftedHead
from tartan.body.layers import layers_of
from tartan.config.schema import Config
from tartan.distributed.ranks import Ranks
from tartan.errors import ConfigError
from tartan.train.model import JointModel


def divide(config: Config, model: JointModel, ranks: Ranks) -> list[str]:
    """Divide what the options say among the processes; return notices.

    Raises:
        ConfigError: the options do not fit together.
    """
    if config.sharded and config.sharded_optimizer:
        raise ConfigError(
            "sharded=true divides the optimiser's moments too: remove sharded_optimizer=true"
        )
    if config.sharded and config.cuda_graphs:
        raise ConfigError(
            "sharded=true and cuda_graphs=true exclude each other: graphs need weights that stay "
            "where they are; remove one"
        )
    if config.sharded:
        return shard(model, ranks)
    if config.sharded_optimizer and not ranks.divide_moments():
        return ["sharded_optimizer=true divides moments among processes, and this run has one"]
    return []


def shard(model: JointModel, ranks: Ranks) -> list[str]:
    """Divide the parameters of a model's body among processes; return notices.

    Heads stay complete in every process, and so do the weights of the body that are read outside
    of its forward pass: token embeddings, and what heads are tied to.

    Raises:
        ConfigError: the number of its passes may differ between processes, or its frozen weights
            are in half precision.
    """
    body = model.body.model
    if model.body.max_tokens is not None:
        raise ConfigError(
            "sharded=true and model.max_tokens_per_pass: processes would take different numbers of "
            "passes; remove one of them"
        )
    if any(parameter.dtype != torch.float32 for parameter in body.parameters()):
        raise ConfigError(
            "sharded=true and model.lora.base=bf16: evaluation holds all weights in float32, which "
            "those of a divided body cannot become; remove one of them"
        )
    heads = [module for module in model.modules() if isinstance(module, LiftedHead)]
    tied = {name for head in heads for name in head.borrowed.values()}
    kept = [
        *body.get_input_embeddings().parameters(),
        *(body.get_parameter(name) for name in sorted(tied)),
    ]
    if not ranks.divide(body, layers_of(body), kept):
        return ["sharded=true divides a body among processes, and this run has one"]
    model.body.divided = True
    model.recount()
    return []
