"""Lift the body out of a family's model for a task, and verify that the rest works as a head."""

from collections.abc import Collection

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from tartan.body.body import Body
from tartan.body.heads import LiftedHead, StandIn, borrow, logits_of
from tartan.body.reading import position_limit
from tartan.body.trial import trial_tokens
from tartan.body.verification import FAILURES, agree, evaluating
from tartan.errors import ModelError


def lift(
    model: PreTrainedModel,
    body: Body,
    new: Collection[str] | None = None,
    *,
    float32: bool = False,
) -> LiftedHead:
    """Lift the body out of a family's model for a task, and verify what is left.

    Args:
        model: the family's model for the task, in float32; it is changed.
        body: the run's body, of the same architecture; lends the weights that the family ties.
        new: names of the model's parameters that no checkpoint held; None for all of them.
        float32: whether the head computes in float32 inside autocast too.

    Raises:
        ModelError: when what is left does not give the family's own logits, these are not finite,
            or the tied weights are not those of the body.
    """
    prefix, base = model.base_model_prefix, model.base_model
    if base is model or not isinstance(base, PreTrainedModel):
        raise ModelError(f"{_name(model)} has no body to lift out: it names no base model")
    new = [name for name, _ in model.named_parameters()] if new is None else new
    borrowed = _tied_to(base, model)
    with torch.no_grad(), evaluating(model):
        tokens, mask = _trial_rows(base)
        try:
            expected = logits_of(model, input_ids=tokens, attention_mask=mask.long())
            read = base(input_ids=tokens, attention_mask=mask.long(), return_dict=True)
            setattr(model, prefix, StandIn(base))
            own = [name for name in new if name not in borrowed]
            width = read.last_hidden_state.shape[-1]
            head = LiftedHead(model, borrowed, own, width, float32=float32)
            found = head(read.last_hidden_state, mask)
        except FAILURES as error:
            raise _unliftable(model, f"{type(error).__name__}: {error}") from error
    if not _real(expected, mask).isfinite().all():
        raise ModelError(
            f"{_name(model)} gives logits that are not finite: its weights are damaged or too "
            "large; choose another checkpoint"
        )
    if not agree(_real(expected, mask), _real(found, mask)):
        raise _unliftable(model, "its logits differ when only hidden states are given")
    for name, source in borrowed.items():
        borrow(model, name, _lent(body, source, model.get_parameter(name)))
    return head.train()


def _tied_to(base: nn.Module, model: nn.Module) -> dict[str, str]:
    """Return the base's parameters that a model uses outside its base: their names in both."""
    inside = {id(p): name for name, p in base.named_parameters()}
    known = {id(module) for module in base.modules()}
    return {
        f"{path}.{attribute}" if path else attribute: inside[id(parameter)]
        for path, module in model.named_modules()
        if id(module) not in known
        for attribute, parameter in module.named_parameters(recurse=False)
        if id(parameter) in inside
    }


def _lent(body: Body, name: str, like: Tensor) -> nn.Parameter:
    """Return the body's parameter by name; ModelError unless it has the given one's shape."""
    parameter = dict(body.model.named_parameters()).get(name)
    if parameter is None or parameter.shape != like.shape:
        found = "none" if parameter is None else str(tuple(parameter.shape))
        raise ModelError(
            f"a head's tied weight {name} has shape {tuple(like.shape)} and the body's has "
            f"{found}: head and body must come from the same model"
        )
    return parameter


def _trial_rows(base: PreTrainedModel) -> tuple[Tensor, Tensor]:
    """Return two rows, the second one padded: tokens [2, longest] int64 and their bool mask."""
    longest = min(9, position_limit(base) or 9)
    tokens = trial_tokens(base.config, 2 * longest).view(2, longest).to(base.device)
    mask = torch.ones_like(tokens, dtype=torch.bool)
    mask[1, longest // 2 + 1 :] = False
    return tokens.masked_fill(~mask, base.config.pad_token_id or 0), mask


def _real(logits: Tensor, mask: Tensor) -> Tensor:
    """Return logits without those at padding."""
    return logits[mask] if logits.shape[:2] == mask.shape and logits.ndim > 2 else logits


def _name(model: PreTrainedModel) -> str:
    return type(model).__name__


def _unliftable(model: PreTrainedModel, why: str) -> ModelError:
    return ModelError(
        f"{_name(model)} cannot be used as a head: it needs more than the body's hidden states "
        f"({why}); choose another model family"
    )
