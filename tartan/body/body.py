"""The shared encoder."""

import os
from contextlib import AbstractContextManager
from functools import cached_property, partial
from shutil import which

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer

from tartan.body.attention import keep_from_compiler
from tartan.body.dropout import replace_dropout
from tartan.body.layouts import (
    FAILURES,
    agree,
    evaluating,
    first_position,
    position_limit,
    read_packed,
    read_padded,
    trial,
    why_not_causal,
    why_not_varlen,
    why_padded,
)
from tartan.body.wanted import attention_output, read_wanted
from tartan.errors import ModelError
from tartan.packed import Packed


class Body(nn.Module):
    """A Hugging Face base model without its pooler, reading sequences laid end to end.

    Whether its family can read them so is proved here, on a few short sequences; a family that
    cannot is given padded ones, inside this class, and the caller never notices.

    Attributes:
        model: the Hugging Face model. Its attention implementation is tartan's if it reads packed.
        hidden_size: width of the hidden states.
        max_length: the longest sequence its positions allow; None where they set no limit.
        padded_because: why it reads padded sequences; None if it reads packed ones.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        """Take over a base model, in float32; it is changed, and left in training mode.

        Raises:
            ModelError: when the model cannot turn token ids into hidden states.
        """
        super().__init__()
        self.model = model
        remove_pooler(model)
        replace_dropout(model)
        self._first_position = first_position(model)
        self._varlen = False
        with evaluating(model):
            packed = trial(model)
            expected = _hidden_states(model, packed)
            self.padded_because = why_padded(model, packed, expected)
            self._narrows = None
            if self.packed:
                self._narrows = attention_output(model, self._read_packed, packed)
        self.hidden_size = expected.shape[-1]
        self.max_length = position_limit(model)
        self.train()

    @property
    def packed(self) -> bool:
        """Whether sequences are read without padding."""
        return self.padded_because is None

    @cached_property
    def not_causal_because(self) -> str | None:
        """Why it cannot read left to right; None if it can. Tried once, where it is asked for."""
        device = self.model.device
        with evaluating(self.model), torch.autocast(device.type, enabled=False):
            return why_not_causal(self._read, trial(self.model))

    def check_causal(self) -> None:
        """ModelError unless it can read left to right."""
        if self.not_causal_because is not None:
            raise ModelError(
                f"{self.model.config.model_type} cannot read left to right "
                f"({self.not_causal_because}): choose another model family"
            )

    @cached_property
    def no_embeddings_because(self) -> str | None:
        """Why it cannot read embeddings instead of token ids; None if it can. Tried once."""
        packed = trial(self.model)
        with evaluating(self.model), torch.autocast(self.model.device.type, enabled=False):
            try:
                with torch.no_grad():
                    expected = self._read(packed)
                    found = self._read(packed, self.embed(packed))
            except FAILURES as error:
                return f"{type(error).__name__}: {error}"
        same = agree(expected, found)
        return None if same else "hidden states of token ids and of their embeddings differ"

    def check_embeddings(self) -> None:
        """Raise ModelError unless it can read token embeddings instead of token ids."""
        if self.no_embeddings_because is not None:
            raise ModelError(
                f"{self.model.config.model_type} cannot read token embeddings "
                f"({self.no_embeddings_because}): choose another model family"
            )

    def embed(self, packed: Packed) -> Tensor:
        """Return the token embeddings, [tokens, width] float, without positions and segments."""
        embeddings: Tensor = self.model.get_input_embeddings()(packed.input_ids)
        return embeddings

    def use_varlen(self, autocast: AbstractContextManager[object]) -> str | None:
        """Attend by the device's variable-length kernel from now on, if that gives the same.

        Args:
            autocast: the context that the body trains in; the body is on its device already.

        Returns:
            Why not, where sequences attend in buckets as before; None if it does.
        """
        with evaluating(self.model), autocast:
            reason = why_not_varlen(self.model, trial(self.model))
        self._varlen = reason is None
        return reason

    def compile_layers(self) -> None:
        """Have torch.compile fuse what each layer does beside attention, for any batch's shape.

        Raises:
            ModelError: when the family has no layers that can be compiled one by one, or pads;
                when there is no C++ compiler.
        """
        layers = [m for m in self.model.modules() if isinstance(m, GradientCheckpointingLayer)]
        why = self.padded_because if layers else "transformers does not mark its layers"
        if why is not None:
            family = self.model.config.model_type
            raise ModelError(f"compile=true: {family} cannot be compiled: {why}")
        if not any(map(which, (os.environ.get("CXX", "g++"), "g++", "clang++"))):
            raise ModelError(
                "compile=true needs a C++ compiler (g++, clang++ or $CXX) and none is found: "
                "install one, or leave compile off"
            )
        keep_from_compiler()
        self._narrows = None  # compiled code does not notice hooks that come and go
        for layer in layers:
            layer.compile(dynamic=True)

    def forward(self, packed: Packed, embeddings: Tensor | None = None) -> Tensor:
        """Encode sequences.

        Args:
            packed: the sequences.
            embeddings: [tokens, width] float, to use instead of `embed(packed)`.

        Returns:
            [tokens, hidden] float hidden states, in the order of the packed tokens; of those that
            are not `wanted`, anything finite.

        Raises:
            ModelError: when a sequence is longer than `max_length` (a GPU would stop the program),
                or causal and the family cannot read left to right.
        """
        longest = max(packed.lengths)
        if self.max_length is not None and longest > self.max_length:
            raise ModelError(
                f"a sequence of {longest} tokens: {self.model.config.model_type} reads at most "
                f"{self.max_length}; cut texts to model.max_length"
            )
        if packed.causal:
            self.check_causal()
        return self._read(packed, embeddings)

    def _read(self, packed: Packed, embeddings: Tensor | None = None) -> Tensor:
        """Hidden states [tokens, hidden], in the layout that the family can read."""
        if not self.packed:
            return read_padded(self.model, packed, embeddings)
        if packed.wanted is None or self._narrows is None:
            return self._read_packed(packed, embeddings)
        output = self.model.get_submodule(self._narrows)
        return read_wanted(partial(self._read_packed, embeddings=embeddings), packed, output)

    def _read_packed(self, packed: Packed, embeddings: Tensor | None = None) -> Tensor:
        """Hidden states [tokens, hidden] by way of one row of tokens."""
        first = self._first_position
        return read_packed(self.model, packed, first, embeddings, varlen=self._varlen)


class NoPooler(nn.Module):
    """Stands where a pooler stood in families that call it unasked."""

    def forward(self, hidden: Tensor) -> None:
        """No pooled output."""


def remove_pooler(model: PreTrainedModel) -> None:
    """Take a base model's pooler out: it belongs to a classification head."""
    if (pooler := getattr(model, "pooler", None)) is not None:
        # A bare Linear is followed by an activation, and such families test for None.
        set_pooler(model, None if isinstance(pooler, nn.Linear) else NoPooler())


def set_pooler(model: PreTrainedModel, pooler: nn.Module | None) -> None:
    """Give a base model another pooler, if it is of a family that has them."""
    if "pooler" in model._modules:
        model._modules["pooler"] = pooler


def _hidden_states(model: PreTrainedModel, packed: Packed) -> Tensor:
    """What a model makes of sequences, [tokens, hidden]; ModelError if it makes nothing of them."""
    try:
        with torch.no_grad():
            return read_padded(model, packed)
    except FAILURES as error:
        raise ModelError(
            f"{model.config.model_type} cannot serve as a body: it does not turn token ids into "
            f"hidden states ({type(error).__name__}: {error})"
        ) from error
