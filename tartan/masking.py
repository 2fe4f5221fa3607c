"""What objectives that hide or replace tokens share."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from tartan.errors import ModelError
from tartan.objective import Batch, Context, Loss


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

    Args:
        head: a `MaskedLM` head; logits exist at the positions alone.
        hidden: [tokens, hidden] float.
        batch: targets `positions` [items] int64 among the tokens, and `tokens` [items] int64.
    """
    tokens = batch.targets["tokens"]
    logits = head(hidden[batch.targets["positions"]][None])[0].float()
    right = (logits.argmax(1) == tokens).sum()
    return Loss(functional.cross_entropy(logits, tokens, reduction="sum"), {"accuracy": right})
