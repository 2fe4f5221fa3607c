"""A divided body is gathered by rank 0 alone."""

import gc
from pathlib import Path

from torch import Tensor, nn

from support.ranks import in_ranks
from tartan.body.layers import layers_of
from tartan.distributed.ranks import Ranks
from tartan.distributed.sharded import whole
from tartan.packed import Packed
from tartan.testing import tiny_source

NUMBERS = 64 * 32
"""Of the largest parameter; no two tensors below have as many."""


def held() -> int:
    """The tensors of this process whose storage is as large as the largest parameter."""
    storages = {
        found.untyped_storage().data_ptr()
        for found in gc.get_objects()
        if type(found) in (Tensor, nn.Parameter) and found.untyped_storage().nbytes() == 4 * NUMBERS
    }
    return len(storages)


def gathered(ranks: Ranks) -> int:
    """How many complete copies of the largest parameter a process holds through the block."""
    body = nn.Sequential(nn.Linear(32, 64), nn.Tanh(), nn.Linear(64, 2))
    assert ranks.divide(body, [], [])
    gc.collect()
    before = held()
    with whole(body, here=ranks.first):
        return held() - before


def test_processes_that_do_not_write_the_complete_body_do_not_keep_it(tmp_path: Path):
    assert in_ranks(2, gathered, tmp_path) == [1, 0]


def computed(ranks: Ranks) -> int:
    """How often a step computes a layer of a body that is checkpointed, then divided."""
    body = tiny_source("bert", num_hidden_layers=3).body()
    body.checkpoint_layers()
    layers = layers_of(body.model)
    assert ranks.divide(body.model, layers, [*body.model.get_input_embeddings().parameters()])
    calls: list[int] = []
    inner = next(module for module in layers[0].modules() if isinstance(module, nn.Linear))
    inner.register_forward_pre_hook(lambda *_: calls.append(1))
    body.train()(Packed.of([[5, 6, 7], [8, 9]])).square().sum().backward()
    return len(calls)


def test_layers_of_a_divided_body_are_checkpointed_too(tmp_path: Path):
    assert in_ranks(2, computed, tmp_path) == [2, 2]  # forward, and again on the way back
