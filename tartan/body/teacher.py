"""A teacher: a frozen classification model beside the run's body, with the run's classes."""

from dataclasses import replace
from typing import Self

import torch
from torch import Tensor, nn

from tartan.body.body import Body
from tartan.body.heads import LiftedHead
from tartan.body.masked_lm import pretrained_like
from tartan.body.pretrained import short_reason
from tartan.body.source import ModelSource
from tartan.body.verification import FAILURES
from tartan.errors import ModelError
from tartan.packed import Packed


class Teacher(nn.Module):
    """A pretrained body and its classification head, which never change.

    Weights are buffers that are not saved: they have no gradient, are in no checkpoint and in no
    exported model, and follow the objective to its device. It stays in evaluation mode.
    """

    def __init__(self, body: Body, head: LiftedHead, *, segments: bool) -> None:
        """Freeze body and head; `segments`: whether the body embeds more than one segment."""
        super().__init__()
        self.body, self.head, self._segments = body, head, segments
        for module in self.modules():
            make_buffers(module)
        self.train()

    def train(self, mode: bool = True) -> Self:  # noqa: ARG002
        """Stay in evaluation mode."""
        return super().train(False)

    def forward(self, packed: Packed) -> Tensor:
        """Return logits [sequences, classes] float32, without a gradient."""
        types = packed.token_type_ids if self._segments else None
        packed = replace(packed, token_type_ids=types, wanted=None)
        with torch.no_grad():
            logits: Tensor = self.head(packed.pad(self.body(packed)), packed.mask)
        return packed.by_text(logits.float())


def make_buffers(module: nn.Module) -> None:
    """Turn a module's own parameters into buffers, and save none of its buffers."""
    for name, parameter in list(module._parameters.items()):
        if parameter is not None:
            delattr(module, name)
            module.register_buffer(name, parameter.detach(), persistent=False)
    module._non_persistent_buffers_set.update(module._buffers)


def load_teacher(source: ModelSource, labels: tuple[str, ...], name: str) -> Teacher:
    """Load a classification model whose classes have the names of the run's.

    Args:
        source: what the run's body is made of; the teacher has the same vocabulary.
        labels: the run's classes, in the order of their ids; the teacher's logits have this order.
        name: a directory, or an id on the Hugging Face hub.

    Raises:
        ModelError: there is no such model, it reads shorter sequences than the body, or its
            vocabulary or its classes are others.
    """
    try:
        other = pretrained_like(source, name)
        body = other.body()
        head = other.head("SequenceClassification", body, labels)
    except FAILURES as error:
        raise ModelError(f"{name} cannot be loaded ({short_reason(error)})") from error
    if head.new_parameters:
        reason = (head.notice or "it has no classification head").partition(": the head's last")[0]
        raise ModelError(
            f"{name} is not a classifier of the classes {', '.join(labels)} ({reason}): choose a "
            "model that was trained on these"
        )
    segments = getattr(other.config, "type_vocab_size", 0) > 1
    return Teacher(body, head, segments=segments)
