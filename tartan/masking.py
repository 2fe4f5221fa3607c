"""Functions shared by objectives that mask or replace tokens."""

from functools import cache, partial

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from tartan.batch import Batch, Loss
from tartan.context import Context
from tartan.errors import ModelError

CHUNKS = {60: 8192, 30: 4096, 15: 2048, 0: 1024}
"""The most tokens whose logits, [tokens, vocabulary] float32, are in memory at once: by the least
GB of a GPU's memory. Few large products suit a GPU, but a CPU's caches do not hold more."""


@cache
def logits_chunk(device: torch.device) -> int:
    """Return the most tokens whose logits are in memory at once on a device."""
    if device.type != "cuda":
        return CHUNKS[0]
    memory = torch.cuda.get_device_properties(device).total_memory
    return next(tokens for least, tokens in CHUNKS.items() if memory >= least * 10**9)


def mask_token(context: Context) -> int:
    """Return the id of the tokenizer's mask token. ModelError if it has none."""
    token: int | None = context.tokenizer.mask_token_id
    if token is None:
        raise ModelError(
            f"{context.section} needs a mask token, and the model's tokenizer has none: "
            "choose a model that was trained with one"
        )
    return int(token)


def special_tokens(context: Context) -> Tensor:
    """Return the ids of the tokenizer's special tokens, [specials] int64."""
    return torch.tensor(context.tokenizer.all_special_ids, dtype=torch.int64)


def check_both_directions(context: Context) -> None:
    """Raise ModelError if the body is a decoder, which cannot see the tokens after a mask."""
    if context.causal:
        raise ModelError(
            f"{context.section} needs a body that reads in both directions, and this model "
            "is a decoder, which reads left to right: choose clm instead, or an encoder as model"
        )


def lm_head(context: Context) -> nn.Module:
    """Return the family's language-model head: a decoder's CausalLM, an encoder's MaskedLM."""
    return context.head("CausalLM" if context.causal else "MaskedLM")


def choose_tokens(tokens: Tensor, special: Tensor, share: float, rng: torch.Generator) -> Tensor:
    """Sample a mask, [tokens] bool on the CPU: tokens with probability `share`, never special."""
    chosen = torch.rand(tokens.shape, generator=rng) < share
    return chosen & ~torch.isin(tokens, special)


def choose_words(
    tokens: Tensor, starts: Tensor, special: Tensor, share: float, rng: torch.Generator
) -> Tensor:
    """Sample a mask, [tokens] bool on the CPU: words with probability `share`, complete.

    Args:
        tokens: [tokens] int64.
        starts: [tokens] bool, whether a token is the first of a word; the first token is.
        special: [specials] int64, tokens that are never chosen.
        share: probability of each word, and so the expected share of tokens.
        rng: for the random choices.
    """
    word = starts.cumsum(0) - 1
    chosen = torch.rand(tokens.shape, generator=rng)[word] < share
    return chosen & ~torch.isin(tokens, special)


def token_loss(head: nn.Module, hidden: Tensor, batch: Batch) -> Loss:
    """Return the summed cross-entropy of tokens to predict, with the metric `accuracy`.

    Logits are computed for `logits_chunk` tokens at a time. If there are more tokens, each chunk's
    logits are recomputed in the backward pass.

    Args:
        head: a `MaskedLM` head.
        hidden: [tokens, hidden] float.
        batch: targets, [items] int64: `indices` of tokens, and the `tokens` to predict there.
    """
    most = logits_chunk(hidden.device)
    states = hidden.index_select(0, batch.targets["indices"]).split(most)
    tokens = batch.targets["tokens"].split(most)
    score = _score if len(states) == 1 else partial(checkpoint, _score, use_reentrant=False)
    parts = [score(head, *part) for part in zip(states, tokens, strict=True)]
    losses, right = zip(*parts, strict=True)
    return Loss(torch.stack(losses).sum(), {"accuracy": torch.stack(right).sum()})


def _score(head: nn.Module, states: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Return the summed cross-entropy of tokens [items] and how many are predicted correctly."""
    logits = head(states[None]).squeeze(0).float()
    loss = functional.cross_entropy(logits, tokens, reduction="sum")
    return loss, (logits.detach().argmax(1) == tokens).sum()
