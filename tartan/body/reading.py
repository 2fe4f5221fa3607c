"""How a Hugging Face model is called on packed sequences: as one row, padded, or by length."""

import inspect
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from tartan.body.kernels.layout import Layout
from tartan.gather import take
from tartan.packed import Packed, send, starts_of

REPEATED = 64
"""Rows are extended to a multiple of this many tokens, by tokens that no other attends to: oneDNN
compiles a kernel for each shape, a GPU's products are faster where sizes are multiples of 8, and
allocators reuse memory of the same size."""


def read_padded(model: PreTrainedModel, packed: Packed, embeddings: Tensor | None = None) -> Tensor:
    """Compute hidden states [tokens, hidden] from [sequences, longest] tokens and their mask.

    Args:
        model: any base model.
        packed: the sequences.
        embeddings: [tokens, width] float, to use instead of those of the token ids.
    """
    inputs: dict[str, Any] = {
        **_options(model),
        "attention_mask": _causal_mask(packed) if packed.causal else packed.mask.long(),
    }
    if embeddings is None:
        inputs["input_ids"] = packed.pad(packed.input_ids, model.config.pad_token_id or 0)
    else:
        inputs["inputs_embeds"] = packed.pad(embeddings)
    if packed.token_type_ids is not None:
        inputs["token_type_ids"] = packed.pad(packed.token_type_ids)
    if packed.places is not None:
        inputs["position_ids"] = packed.pad(packed.places) + first_position(model)
    return packed.unpad(model(**inputs, return_dict=True).last_hidden_state)


def read_by_length(
    model: PreTrainedModel, packed: Packed, embeddings: Tensor | None = None
) -> Tensor:
    """Compute hidden states [tokens, hidden], sequences of equal length at a time: no padding.

    Args are those of `read_padded`.
    """
    groups: dict[int, list[int]] = defaultdict(list)
    for row, length in enumerate(packed.lengths):
        groups[length].append(row)
    starts, device = starts_of(packed.lengths), packed.input_ids.device
    places, states = [], []
    for length, rows in groups.items():
        index = send((starts[rows][:, None] + torch.arange(length)).flatten(), device)
        group = packed.select(index, (length,) * len(rows))
        given = None if embeddings is None else embeddings[index]
        places.append(index)
        states.append(read_padded(model, group, given))
    hidden = torch.cat(states)
    return torch.zeros_like(hidden).index_copy_(0, torch.cat(places), hidden)


def read_packed(
    model: PreTrainedModel,
    packed: Packed,
    first_position: int,
    embeddings: Tensor | None = None,
    *,
    narrow: nn.Module | None = None,
    layout: Layout | None = None,
) -> Tensor:
    """Compute hidden states [tokens, hidden] from one row of tokens with their positions.

    Args:
        model: its attention implementation is packed attention.
        packed: the sequences.
        first_position: the position of the first token of each sequence, as the model counts.
        embeddings: [tokens, width] float, to use instead of those of the token ids.
        narrow: the part of the model after the last attention, which then computes `packed.wanted`
            only; None to compute all tokens.
        layout: `make_layout` of the sequences; None for attention in buckets.

    Returns:
        [tokens, hidden] float; 0 for tokens that `narrow` leaves out.
    """
    tokens = packed.input_ids.numel()
    if layout is None:
        layout = make_layout(packed.lengths, packed.input_ids.device, causal=packed.causal)
    spare = layout.spare

    def row(values: Tensor) -> Tensor:
        return functional.pad(values, (0, spare))[None]

    inputs: dict[str, Any] = {
        **_options(model),
        "position_ids": first_position
        + (layout.positions[None] if packed.places is None else row(packed.places)),
        "layout": layout,
    }
    if embeddings is None:
        inputs["input_ids"] = row(packed.input_ids)
    else:
        inputs["inputs_embeds"] = functional.pad(embeddings, (0, 0, 0, spare))[None]
    if packed.token_type_ids is not None:
        inputs["token_type_ids"] = row(packed.token_type_ids)
    if narrow is None or packed.wanted is None:
        hidden: Tensor = model(**inputs, return_dict=True).last_hidden_state
        return hidden.squeeze(0)[:tokens]
    with _selected(narrow, packed.wanted):
        rows: Tensor = model(**inputs, return_dict=True).last_hidden_state.squeeze(0)
    return rows.new_zeros(tokens, rows.shape[-1]).index_copy_(0, packed.wanted, rows)


def make_layout(
    lengths: Sequence[int],
    device: torch.device,
    *,
    causal: bool = False,
    varlen: bool = False,
    few_sizes: bool = False,
) -> Layout:
    """Return the layout of the row of tokens that `read_packed` has a model read.

    Everything in it is computed: compiled layers read it, but cannot compute it.

    With `few_sizes`, rows have one of eight numbers of tokens between two powers of 2, from 512
    tokens on; fewer tokens are extended to a multiple of `REPEATED`, as always.
    """
    tokens = sum(lengths)
    multiple = max(REPEATED, (1 << tokens.bit_length()) // 16) if few_sizes else REPEATED
    spare = -tokens % multiple
    layout = Layout(lengths, device, causal=causal, varlen=varlen, spare=spare, few_sizes=few_sizes)
    layout.prepare()
    return layout


def first_position(model: nn.Module) -> int:
    """Return a sequence's first position: padding_idx + 1 in RoBERTa's descendants, otherwise 0."""
    for name, module in model.named_modules():
        padding = getattr(module, "padding_idx", None)
        if name.endswith("position_embeddings") and isinstance(padding, int):
            return padding + 1
    return 0


def position_limit(model: PreTrainedModel) -> int | None:
    """Return the longest sequence that the model's positions allow; None if they set no limit."""
    positions = getattr(model.config, "max_position_embeddings", None)
    return positions - first_position(model) if positions and positions > 0 else None


def _options(model: PreTrainedModel) -> dict[str, Any]:
    """Return options of a model's forward pass: decoders keep a cache by default."""
    return {"use_cache": False} if _caches(type(model).forward) else {}


@cache
def _caches(forward: Callable[..., Any]) -> bool:
    """Return whether a forward pass has the option `use_cache`."""
    return "use_cache" in inspect.signature(forward).parameters


def _causal_mask(packed: Packed) -> Tensor:
    """Return what to add to attention scores, [sequences, 1, longest, longest]: 0, or nearly -inf.

    transformers' own mask functions return a mask of four dimensions unchanged.
    """
    mask, longest = packed.mask, max(packed.lengths)
    later = torch.ones(longest, longest, dtype=torch.bool, device=mask.device).triu(1)
    hidden = (later | ~mask[:, None, :])[:, None]
    return torch.zeros_like(hidden, dtype=torch.float32).masked_fill(
        hidden, torch.finfo(torch.float32).min
    )


@contextmanager
def _selected(module: nn.Module, tokens: Tensor) -> Iterator[None]:
    """Select tokens of a module's inputs [1, tokens, hidden] while a block runs."""

    def select(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(take(states[0], tokens)[None] for states in inputs)

    hook = module.register_forward_pre_hook(select)
    try:
        yield
    finally:
        hook.remove()
