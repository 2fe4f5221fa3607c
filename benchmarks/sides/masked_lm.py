"""Shared by the sides on plain transformers: a masked language model and padded batches."""

from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, nn
from transformers import AutoModelForMaskedLM, PreTrainedModel

from tartan.batch import Batch
from tartan.body import LiftedHead, export
from tartan.experiment.build import Experiment
from tartan.quiet import quiet
from tartan.train.model import JointModel

IGNORED = -100
"""The label of a token that is not to be predicted."""


def plain_masked_lm(built: Experiment, name: str) -> PreTrainedModel:
    """Return a run's body and one objective's LM head as a plain transformers model.

    From then on torch may choose cuDNN's attention, which tartan switches off: the texts of a
    setting have one length, for which its plan is made once.
    """
    model = built.setup.model
    head = model.objective(name).head
    assert isinstance(head, LiftedHead)
    with TemporaryDirectory(prefix="tartan-model-") as directory:
        export(model.body, head, built.texts.source.tokenizer, Path(directory, "model"))
        with quiet():
            loaded: PreTrainedModel = AutoModelForMaskedLM.from_pretrained(
                Path(directory, "model"), dtype=torch.float32
            )
    torch.backends.cuda.enable_cudnn_sdp(True)
    module: nn.Module = loaded
    module.to(built.setup.runtime.device).train()
    return loaded


def free_body(model: JointModel) -> None:
    """Free the memory of a body that a side does not use."""
    for parameter in model.shared():
        parameter.data = torch.empty(0)


def padded(batch: Batch, pad_token: int) -> dict[str, Tensor]:
    """Return a collated batch as plain transformers reads it, padded to its longest row.

    `labels`, [rows, longest] int64, are there where tokens are to be predicted.
    """
    inputs = {
        "input_ids": batch.inputs.pad(batch.inputs.input_ids, pad_token),
        "attention_mask": batch.inputs.mask.long(),
    }
    if "indices" in batch.targets:
        labels = torch.full_like(batch.inputs.input_ids, IGNORED)
        labels[batch.targets["indices"]] = batch.targets["tokens"]
        inputs["labels"] = batch.inputs.pad(labels, IGNORED)
    return inputs
