"""What objectives that hide or replace tokens share."""

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from tartan.batch import Batch, Loss
from tartan.context import Context
from tartan.errors import ModelError

CHUNK = 1024
"""Tokens whose logits exist at once, [CHUNK, vocabulary] float32."""


def mask_token(context: Context) -> int:
    """The id of the tokenizer's mask token. ModelError where it has none."""
    token: int | None = context.tokenizer.mask_token_id
    if token is None:
        raise ModelError(
            f"objectives.{context.name} needs a mask token and the tokenizer has none: "
            "choose a model that was trained with one"
        )
    return int(token)


def special_tokens(context: Context) -> Tensor:
    """The ids of the tokenizer's special tokens, [specials] int64."""
    return torch.tensor(context.tokenizer.all_special_ids)


def choose_tokens(tokens: Tensor, special: Tensor, share: float, rng: torch.Generator) -> Tensor:
    """Each token with a given probability, special ones never: [tokens] bool on the CPU."""
    chosen = torch.rand(tokens.shape, generator=rng) < share
    return chosen & ~torch.isin(tokens, special)


def token_loss(head: nn.Module, hidden: Tensor, batch: Batch) -> Loss:
    """Cross-entropy summed over the tokens to predict, and how many are right as `accuracy`.

    Logits exist for `CHUNK` tokens at a time: of more, those of a chunk are computed once more on
    the way back.

    Args:
        head: a `MaskedLM` head; logits exist at the indices alone.
        hidden: [tokens, hidden] float.
        batch: targets, [items] int64: `indices` of tokens, and the `tokens` to predict there.
    """
    states = hidden.index_select(0, batch.targets["indices"]).split(CHUNK)
    tokens = batch.targets["tokens"].split(CHUNK)
    score = _score if len(states) == 1 else partial(checkpoint, _score, use_reentrant=False)
    parts = [score(head, *part) for part in zip(states, tokens, strict=True)]
    losses, right = zip(*parts, strict=True)
    return Loss(torch.stack(losses).sum(), {"accuracy": torch.stack(right).sum()})


def _score(head: nn.Module, states: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Summed cross-entropy of tokens [items] from states [items, hidden]; how many are right."""
    logits = head(states[None]).squeeze(0).float()
    loss = functional.cross_entropy(logits, tokens, reduction="sum")
    return loss, (logits.detach().argmax(1) == tokens).sum()
