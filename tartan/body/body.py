"""Body: the shared encoder."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from tartan.body.abilities import ABILITIES, Ability, reason_against
from tartan.body.adapters import precise
from tartan.body.bf16 import Bf16Layers
from tartan.body.checkpointing import checkpoint_layers, read_in_parts
from tartan.body.compiling import check_compiling
from tartan.body.direction import looks_back_only
from tartan.body.graphs import Recorder
from tartan.body.half_verification import (
    reason_against_bf16,
    reason_against_graphs,
    reason_against_varlen,
    reason_against_varlen_dropout,
)
from tartan.body.kernels.dropout import replace_dropout
from tartan.body.kernels.layout import Layout
from tartan.body.layers import layers_of
from tartan.body.layouts import Layouts
from tartan.body.pooler import remove_pooler
from tartan.body.reading import (
    first_position,
    make_layout,
    position_limit,
    read_by_length,
    read_packed,
    read_padded,
)
from tartan.body.trial import trial
from tartan.body.verification import (
    FAILURES,
    after_attention,
    reason_against_packed,
    reason_against_padding,
)
from tartan.errors import ModelError, with_type
from tartan.evaluating import evaluating
from tartan.packed import Packed, split_lengths
from tartan.quiet import quiet


class Body(nn.Module):
    """A Hugging Face base model without its pooler, which reads packed sequences.

    On construction it is verified, on a few short sequences, that the family computes the same for
    packed sequences as for each sequence alone. A family that does not is called on padded ones,
    and where padding changes hidden states too, on sequences of one length at a time.

    Attributes:
        model: the Hugging Face model. Its attention implementation is tartan's if it reads packed.
        hidden_size: width of the hidden states.
        max_length: the longest sequence that its positions allow; None if they set no limit.
        padded_because: why it does not read packed sequences; None if it does.
        unpadded_because: why it does not read padded ones either; None if it does not have to.
        causal: True if it reads left to right only, as decoders do, whatever the sequences say.
        max_tokens: the most tokens whose activations are kept at once; None for no limit.
        checkpointed: whether layers' activations are computed again in the backward pass.
        divided: whether its parameters are divided among processes.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        """Take over a base model, in float32. It is changed, and left in training mode.

        Raises:
            ModelError: the model cannot turn token ids into hidden states.
        """
        super().__init__()
        self.model = model
        remove_pooler(model)
        replace_dropout(model)
        self.max_tokens: int | None = None
        self.checkpointed = self.divided = False
        self._first_position = first_position(model)
        self._varlen = False
        self._layouts = Layouts()
        self._narrow: str | None = None
        self._bf16: Bf16Layers | None = None
        self._few_sizes = False
        self._reasons: dict[Ability, str | None] = {}
        self.unpadded_because: str | None = None
        with evaluating(model), quiet():
            packed = trial(model)
            expected = _hidden_states(model, packed)
            self.causal = looks_back_only(model, packed)
            packed = replace(packed, causal=self.causal)
            self.padded_because = reason_against_packed(model, packed, expected)
            if self.reads_packed:
                self._narrow = after_attention(model, packed)
            else:
                self.unpadded_because = reason_against_padding(model, packed, expected)
        if hasattr(model, "attention_type"):
            # BigBird changes to full attention when it reads a short text.
            model.config.attention_type = model.attention_type
        self.hidden_size = expected.shape[-1]
        self.max_length = position_limit(model)
        self.train()

    @property
    def reads_packed(self) -> bool:
        """True if it reads sequences without padding."""
        return self.padded_because is None

    @property
    def embedding_size(self) -> int:
        """The width of the token embeddings, in some families not that of the hidden states."""
        return int(self.model.get_input_embeddings().get_parameter("weight").shape[1])

    def reason_against(self, ability: Ability) -> str | None:
        """Return the reason why it does not have an ability; None if it does."""
        if ability not in self._reasons:
            with evaluating(self.model), torch.autocast(self.model.device.type, enabled=False):
                self._reasons[ability] = reason_against(
                    ability, self._read, self.embed, trial(self.model)
                )
        return self._reasons[ability]

    def check(self, ability: Ability) -> None:
        """Raise ModelError unless it has an ability."""
        if (reason := self.reason_against(ability)) is not None:
            raise ModelError(
                f"{self.model.config.model_type} cannot {ABILITIES[ability]} ({reason}): choose "
                "another model family"
            )

    def precise(self) -> AbstractContextManager[None]:
        """Return a context in which frozen weights that are held in half precision are float32."""
        return precise(self.model)

    def embed(self, packed: Packed) -> Tensor:
        """Return the token embeddings, [tokens, width] float, without positions and segments."""
        embeddings: Tensor = self.model.get_input_embeddings()(packed.input_ids)
        return embeddings

    def use_varlen(
        self, autocast: AbstractContextManager[object], dtype: torch.dtype
    ) -> str | None:
        """Use the device's variable-length attention kernel from now on, if its results agree.

        Args:
            autocast: the context in which the body trains; the body is on its device already.
            dtype: the precision in it.

        Returns:
            Why the kernel is not used; None if it is.
        """
        with evaluating(self.model), autocast:
            packed = replace(trial(self.model), causal=self.causal)
            reason = reason_against_varlen(self.model, packed)
        reason = reason or reason_against_varlen_dropout(self.model, dtype)
        self._varlen = reason is None
        return reason

    def use_bf16(self, autocast: AbstractContextManager[object]) -> str | None:
        """Have layers compute in bf16 within `same_weights` from now on, if their results agree.

        Args:
            autocast: the context in which the body trains; the body is on its device already.

        Returns:
            Why it does not, and computes under autocast; None if it does.
        """
        if self.divided:
            return "the body is divided among processes"
        if self.padded_because is not None or not layers_of(self.model):
            return self.padded_because or "transformers does not mark its layers"
        layers, packed = Bf16Layers(self.model), replace(trial(self.model), causal=self.causal)
        with evaluating(self.model), autocast:
            reason = reason_against_bf16(self.model, packed, layers, varlen=self._varlen)
        self._bf16 = layers if reason is None else None
        return reason

    def use_graphs(
        self, autocast: AbstractContextManager[object], recorder: Recorder
    ) -> str | None:
        """Launch the layers' kernels together within `same_weights`, if results agree.

        Call `use_varlen` and `use_bf16` first.

        Args:
            autocast: the context in which the body trains; the body is on its device already.
            recorder: makes graphs on that device.

        Returns:
            The reason why graphs cannot be used; None if they are used.

        Raises:
            ModelError: recording failed, after which the device cannot be used.
        """
        if self._bf16 is None:
            return "layers do not compute in bf16"
        reasons = {
            "attention is not by the variable-length kernel": not self._varlen,
            "layers are checkpointed": self.checkpointed,
            "passes are read in parts": self.max_tokens is not None,
            "frozen weights are in half precision": not self._bf16.addresses_stay,
            "the model has one layer": len(layers_of(self.model)) < 2,
        }
        if reason := next((reason for reason, applies in reasons.items() if applies), None):
            return reason
        packed = replace(trial(self.model), causal=self.causal)
        self._bf16.use_graphs(recorder)
        with evaluating(self.model), autocast:
            reason = reason_against_graphs(self.model, packed, self._bf16)
        self._few_sizes = reason is None
        if reason is not None:
            self._bf16.use_graphs(None)
        return reason

    def one_by_one(self) -> AbstractContextManager[None]:
        """Return a context in which kernels are launched one by one in spite of `use_graphs`."""
        return nullcontext() if self._bf16 is None else self._bf16.one_by_one()

    def same_weights(self) -> AbstractContextManager[object]:
        """Return a context in which weights do not change: with `use_bf16`, they are cast once."""
        return nullcontext() if self._bf16 is None else self._bf16.step()

    def checkpoint_layers(self) -> None:
        """Store the layers' inputs only, and compute the rest again in the backward pass.

        Call it before `use_bf16`, which wraps what it sets.

        Raises:
            ModelError: the family does not support it.
        """
        checkpoint_layers(self.model)
        self.checkpointed = True

    def compile_layers(self, backend: str = "inductor") -> None:
        """Compile each layer by torch.compile for batches of any shape.

        Attention is compiled with it where it is the device's variable-length kernel, an operator
        of torch's: call `use_varlen` and `use_bf16` first. Attention in buckets is left out, as its
        code depends on the batch.

        Args:
            backend: of torch.compile.

        Raises:
            ModelError: the family's layers cannot be compiled one by one, it reads padded
                sequences, layers are checkpointed, or there is no C++ compiler.
        """
        check_compiling(self.model, self.padded_because, checkpointed=self.checkpointed)
        self._narrow = None  # compiled code ignores hooks that are added later
        if self._bf16 is not None:
            self._bf16.compile(backend)
            return
        for layer in layers_of(self.model):
            layer.compile(dynamic=True, backend=backend)

    def forward(self, packed: Packed, embeddings: Tensor | None = None) -> Tensor:
        """Encode sequences.

        Args:
            packed: the sequences.
            embeddings: [tokens, width] float, to use instead of `embed(packed)`.

        Returns:
            [tokens, hidden] float hidden states, in the order of the packed tokens; those of tokens
            that are not `wanted` are finite but undefined.

        Raises:
            ModelError: a sequence is longer than `max_length`, or the sequences are causal and the
                family cannot read left to right.
        """
        longest = max(packed.lengths)
        if self.max_length is not None and longest > self.max_length:
            # An index out of range would abort the program on a GPU.
            raise ModelError(
                f"a sequence has {longest} tokens, but {self.model.config.model_type} reads at "
                f"most {self.max_length}: lower model.max_length"
            )
        if packed.causal:
            self.check("causal")
        if self.divided:
            # A cast of an earlier pass would be differentiated after this one's sums of gradients.
            torch.clear_autocast_cache()
        if self.max_tokens is None:
            return self._read(packed, embeddings)
        return read_in_parts(self.model, self._read, packed, embeddings, self.max_tokens)

    def _read(self, packed: Packed, embeddings: Tensor | None = None) -> Tensor:
        """Compute hidden states [tokens, hidden], in the layout that the family can read."""
        if not self.reads_packed:
            read = read_padded if self.unpadded_because is None else read_by_length
            # A decoder masks later tokens itself, in windows where it has them.
            own = replace(packed, causal=packed.causal and not self.causal)
            return read(self.model, own, embeddings)
        packed = replace(packed, causal=packed.causal or self.causal)
        narrow = None if self._narrow is None else self.model.get_submodule(self._narrow)
        layout = self._layouts.find(packed.lengths, packed.causal)
        if layout is None:
            graphs = self._bf16 is not None and self._bf16.active
            device = packed.input_ids.device
            layout = self._layout(packed.lengths, device, causal=packed.causal, graphs=graphs)
        return read_packed(
            self.model,
            packed,
            self._first_position,
            embeddings,
            narrow=narrow,
            layout=layout,
        )

    def begin_layouts(self) -> None:
        """Begin the layouts of a step, which `lay_out` makes; those of the step before stay."""
        self._layouts.begin_step()

    def lay_out(self, lengths: Sequence[int], *, causal: bool = False) -> None:
        """Prepare a later pass over sequences of these lengths; call it from any thread.

        Copies to a GPU are queued in that thread.
        """
        if self.reads_packed:
            for part in split_lengths(lengths, self.max_tokens):
                device, causal = self.model.device, causal or self.causal
                self._layouts.keep(self._layout(part, device, causal=causal, graphs=True))

    def _layout(
        self, lengths: Sequence[int], device: torch.device, *, causal: bool, graphs: bool
    ) -> Layout:
        """Make a layout; `graphs` is whether the pass may be computed by graphs."""
        return make_layout(
            lengths,
            device,
            causal=causal,
            varlen=self._varlen,
            few_sizes=graphs and self._few_sizes,
        )


def _hidden_states(model: PreTrainedModel, packed: Packed) -> Tensor:
    """Return the hidden states of each sequence alone, [tokens, hidden]; ModelError if it fails."""
    try:
        with torch.no_grad():
            return read_by_length(model, packed)
    except FAILURES as error:
        raise ModelError(
            f"{model.config.model_type} cannot serve as a body: it does not turn token ids into "
            f"hidden states ({with_type(error)})"
        ) from error
