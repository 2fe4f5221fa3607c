"""The two ways a Hugging Face model can read packed sequences, and the proof that they agree."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import cycle
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PretrainedConfig, PreTrainedModel

from tartan.body.attention import NAME
from tartan.packed import Packed
from tartan.quiet import quiet

FAILURES = (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError)
"""What a family raises when it is asked for something it was not written for."""

AGREEMENT = 0.999
"""The least cosine between results of two kernels in half precision that compute the same."""

REPEATED = 64
"""On a CPU, tokens are filled up to a multiple of this many by some that nobody attends to: oneDNN
makes a kernel for every shape it meets, and malloc finds room again for what has the same size."""

LEARNED_POSITIONS = 1024
"""Up to this many positions the proof reads more tokens than there are positions."""


def read_padded(model: PreTrainedModel, packed: Packed, embeddings: Tensor | None = None) -> Tensor:
    """Hidden states [tokens, hidden] by way of [sequences, longest] tokens and their mask.

    `embeddings`: [tokens, width] float, to use instead of the embeddings of the token ids.
    """
    inputs: dict[str, Any] = {
        "attention_mask": _earlier(packed) if packed.causal else packed.mask.long(),
    }
    if embeddings is None:
        inputs["input_ids"] = packed.pad(packed.input_ids, model.config.pad_token_id or 0)
    else:
        inputs["inputs_embeds"] = packed.pad(embeddings)
    if packed.token_type_ids is not None:
        inputs["token_type_ids"] = packed.pad(packed.token_type_ids)
    return packed.unpad(model(**inputs, return_dict=True).last_hidden_state)


def read_packed(
    model: PreTrainedModel,
    packed: Packed,
    first_position: int,
    embeddings: Tensor | None = None,
    *,
    varlen: bool = False,
) -> Tensor:
    """Hidden states [tokens, hidden] by way of one row of tokens, each with its position.

    `varlen`: with the device's variable-length attention kernel, where it has one.
    `embeddings`: [tokens, width] float, to use instead of the embeddings of the token ids.
    """
    tokens = packed.input_ids.numel()
    spares = packed.input_ids.device.type == "cpu" and not varlen
    spare = -tokens % REPEATED if spares else 0

    def row(values: Tensor) -> Tensor:
        return functional.pad(values, (0, spare))[None]

    inputs: dict[str, Any] = {
        "position_ids": row(packed.positions) + first_position,
        "packed": packed,
        "varlen": varlen,
    }
    if embeddings is None:
        inputs["input_ids"] = row(packed.input_ids)
    else:
        inputs["inputs_embeds"] = functional.pad(embeddings, (0, 0, 0, spare))[None]
    if packed.token_type_ids is not None:
        inputs["token_type_ids"] = row(packed.token_type_ids)
    hidden: Tensor = model(**inputs, return_dict=True).last_hidden_state
    return hidden.squeeze(0)[:tokens]


def _earlier(packed: Packed) -> Tensor:
    """What to add to attention scores, [sequences, 1, longest, longest]: 0, or -inf nearly.

    A mask of four dimensions is final: families that build theirs by transformers' own functions
    take it as it is.
    """
    longest = max(packed.lengths)
    later = torch.ones(longest, longest, dtype=torch.bool, device=packed.mask.device).triu(1)
    hidden = (later | ~packed.mask[:, None, :])[:, None]
    return torch.zeros_like(hidden, dtype=torch.float32).masked_fill(
        hidden, torch.finfo(torch.float32).min
    )


def first_position(model: nn.Module) -> int:
    """The position of a sequence's first token: padding_idx + 1 in RoBERTa's descendants, or 0."""
    for name, module in model.named_modules():
        padding = getattr(module, "padding_idx", None)
        if name.endswith("position_embeddings") and isinstance(padding, int):
            return padding + 1
    return 0


def position_limit(model: PreTrainedModel) -> int | None:
    """The longest sequence the model's positions allow; None where positions set no limit."""
    positions = getattr(model.config, "max_position_embeddings", None)
    return positions - first_position(model) if positions and positions > 0 else None


def why_padded(model: PreTrainedModel, packed: Packed, expected: Tensor) -> str | None:
    """Have a model read packed if it can, and say why when it cannot.

    The family's own claim to go through transformers' attention interface is not trusted: the
    hidden states of both layouts must agree. Positions relative to the whole row, convolutions
    across sequences or statistics over a row fail here.

    Args:
        model: a model in eval mode; its attention implementation is packed attention afterwards if
            the answer is None, and as it was if not.
        packed: what to read, as `trial` gives it.
        expected: [tokens, hidden] float, what `read_padded` gives for it.

    Returns:
        The reason for which the model must read padded sequences; None if it reads packed ones.
    """
    if not model._supports_attention_backend:
        return f"{model.config.model_type} does not use transformers' attention interface"
    own = model.config._attn_implementation
    with torch.no_grad(), quiet():
        try:
            model.set_attn_implementation(NAME)
            if agree(expected, read_packed(model, packed, first_position(model))):
                return None
            reason = "hidden states of packed and padded sequences differ"
        except FAILURES as error:
            reason = f"{type(error).__name__}: {error}"
        model.set_attn_implementation(own)
    return reason


def why_not_varlen(model: PreTrainedModel, packed: Packed) -> str | None:
    """Say why a model that reads packed cannot use the variable-length kernel, if it cannot.

    Hidden states and their gradient must point where they do with attention in buckets.

    Args:
        model: a model in eval mode, on its device, in the precision it trains in.
        packed: what to read, as `trial` gives it.
    """
    first = first_position(model)
    embeddings = model.get_input_embeddings().get_parameter("weight")

    def read(varlen: bool) -> tuple[Tensor, Tensor]:
        hidden = read_packed(model, packed, first, varlen=varlen).float()
        # Any fixed direction: a sum of squares would be constant after a layer norm.
        direction = torch.arange(hidden.numel(), device=hidden.device).sin().view_as(hidden)
        (gradient,) = torch.autograd.grad((hidden * direction).sum(), embeddings)
        return hidden.detach(), gradient

    try:
        pairs = zip(read(varlen=False), read(varlen=True), strict=True)
        cosines = [
            functional.cosine_similarity(a.flatten(), b.flatten(), dim=0).item() for a, b in pairs
        ]
    except (*FAILURES, ImportError) as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0]}"
    if min(cosines) > AGREEMENT:  # NaN is not
        return None
    return f"cosine {min(cosines):.4f} with attention in buckets"


def why_not_causal(read: Callable[[Packed], Tensor], packed: Packed) -> str | None:
    """Say why a model cannot read left to right, if it cannot.

    The first half of a sequence must be read as though nothing followed it.

    Args:
        read: from sequences to hidden states [tokens, hidden], of a model in eval mode.
        packed: what to read, as `trial` gives it.

    Returns:
        The reason; None if it can.
    """
    lengths = torch.tensor(packed.lengths, device=packed.input_ids.device)
    halves = (lengths + 1) // 2
    kept = packed.positions < halves.repeat_interleave(lengths)
    cut = Packed(packed.input_ids[kept], tuple(halves.tolist()), causal=True)
    with torch.no_grad(), quiet():
        try:
            if agree(read(cut), read(replace(packed, causal=True))[kept]):
                return None
        except FAILURES as error:
            return f"{type(error).__name__}: {error}"
    return "its hidden states depend on later tokens"


def trial(model: PreTrainedModel) -> Packed:
    """Sequences of different lengths, unlike tokens, a mask token; longer than any window.

    Their tokens are more than the learned positions, so that a family which looks up a token's
    place in the whole row shows it.
    """
    limit = position_limit(model)
    learned = limit if limit is not None and limit <= LEARNED_POSITIONS else 0
    window = getattr(model.config, "sliding_window", None) or 0
    longest = min(max(24, window + 8, learned // 4), limit or LEARNED_POSITIONS)
    sizes = [min(3, longest)]
    for size in cycle((longest, longest // 2 + 1, longest - 1)):
        if len(sizes) > 3 and sum(sizes) > learned + first_position(model):
            break
        sizes.append(max(1, size))
    tokens = trial_tokens(model.config, sum(sizes)).to(model.device)
    return Packed(tokens, tuple(sizes))


def trial_tokens(config: PretrainedConfig, count: int) -> Tensor:
    """[count] int64 tokens spread over the vocabulary, a mask token among them, no padding."""
    tokens: Tensor = (torch.arange(count) * 13 + 7) % config.vocab_size
    # A few families weigh a row by the masks in it.
    tokens[1::11] = min(getattr(config, "mask_token_id", None) or 1, config.vocab_size - 1)
    padding = config.pad_token_id
    if padding is None:
        return tokens
    return tokens.where(tokens != padding, padding - 1 if padding else 1)


def agree(expected: Tensor, found: Tensor) -> bool:
    """Whether two results are the same computation, in float32, up to rounding; NaN is not."""
    if expected.shape != found.shape:
        return False
    bound = 1e-4 * expected.abs().max().clamp(min=1e-3)
    return bool((expected - found).abs().max() <= bound)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Run a block with a model in eval mode, then put it back as it was."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
