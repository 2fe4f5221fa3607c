"""Lift the body out of a family's model for a task, and verify that the rest works as a head."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from tartan.body.body import Body
from tartan.body.heads import LiftedHead, StandIn, borrow, logits_of
from tartan.body.reading import position_limit
from tartan.body.trial import trial_tokens
from tartan.body.verification import FAILURES, agree
from tartan.errors import ModelError, with_type
from tartan.evaluating import evaluating
from tartan.quiet import quiet


def lift(
    model: PreTrainedModel,
    body: Body,
    new: Collection[str] | None = None,
    *,
    predicts_tokens: bool = True,
) -> LiftedHead:
    """Lift the body out of a family's model for a task, and verify what is left.

    Args:
        model: the family's model for the task, in float32; it is changed.
        body: the run's body, of the same architecture; lends the weights that the family ties.
        new: names of the model's parameters that no checkpoint held; None for all of them.
        predicts_tokens: whether the head is a language model's; any other computes in float32
            inside autocast too.

    Raises:
        ModelError: when what is left does not give the family's own logits, these are not finite,
            or the tied weights are not those of the body.
    """
    prefix, base = model.base_model_prefix, model.base_model
    if base is model or not isinstance(base, PreTrainedModel):
        raise ModelError(f"{_name(model)} has no body to lift out: it names no base model")
    if type(base).__name__ != _name(body.model):
        raise ModelError(
            f"{_name(model)} cannot be used as a head: it reads a {_name(base)}, and the body is a "
            f"{_name(body.model)}; choose another kind of end task, or another model family"
        )
    new = [name for name, _ in model.named_parameters()] if new is None else new
    borrowed = _tied_to(base, model)
    own = [name for name in new if name not in borrowed]
    with torch.no_grad(), evaluating(model), quiet():
        try:
            found = _read(model, base)
            setattr(model, prefix, StandIn(base))
            width = found.hidden.shape[-1]
            head = LiftedHead(model, borrowed, own, width, predicts_tokens=predicts_tokens)
            agrees = found.of(head)
            if not agrees:  # then it may read the last token
                head.last = True
                agrees = found.of(head)
        except FAILURES as error:
            raise _unliftable(model, with_type(error)) from error
    if not all(logits.isfinite().all() for logits in found.logits):
        raise ModelError(
            f"{_name(model)} gives logits that are not finite: its weights are damaged or too "
            "large; choose another checkpoint"
        )
    if not agrees:
        raise _unliftable(model, "its logits differ when only hidden states are given")
    for name, source in borrowed.items():
        borrow(model, name, _lent(body, source, model.get_parameter(name)))
    return head.train()


@dataclass(frozen=True)
class _Found:
    """A family's own hidden states and logits of rows that are read one at a time.

    Attributes:
        hidden: [rows, longest, hidden] float, padded by zeros.
        mask: [rows, longest] bool, False at padding.
        logits: of each row, [classes] float or [tokens, classes].
    """

    hidden: Tensor
    mask: Tensor
    logits: Sequence[Tensor]

    def of(self, head: LiftedHead) -> bool:
        """Return whether a head gives the same logits when it reads the rows together."""
        rows = head(self.hidden, self.mask)
        pairs = zip(self.logits, rows, strict=True)
        return all(
            row.ndim == own.ndim and agree(own, row[: len(own)] if own.ndim > 1 else row)
            for own, row in pairs
        )


def _read(model: PreTrainedModel, base: PreTrainedModel) -> _Found:
    """Compute what a complete model makes of trial rows; ModelError if it tells its body more."""
    more: set[str] = set()

    def watch(module: nn.Module, args: Sequence[Any], given: Mapping[str, Any]) -> None:  # noqa: ARG001
        more.update(name for name, value in given.items() if isinstance(value, Tensor))

    states, logits = [], []
    for tokens in _trial_rows(base):
        inputs = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
        hook = base.register_forward_pre_hook(watch, with_kwargs=True)
        try:
            logits.append(logits_of(model, **inputs)[0])
        finally:
            hook.remove()
        states.append(base(**inputs, return_dict=True).last_hidden_state[0])
        if extra := sorted(more - set(inputs)):
            raise _unliftable(model, f"it gives its body {', '.join(extra)} too")
    mask = torch.nn.utils.rnn.pad_sequence([torch.ones(len(row)) for row in states], True).bool()
    hidden = torch.nn.utils.rnn.pad_sequence(states, True)
    return _Found(hidden, mask.to(hidden.device), logits)


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


def _trial_rows(base: PreTrainedModel) -> tuple[Tensor, ...]:
    """Return two rows of different lengths, [1, tokens] int64."""
    longest = min(9, position_limit(base) or 9)
    tokens = trial_tokens(base.config, 2 * longest).to(base.device)
    return tokens[None, :longest], tokens[None, longest : longest + longest // 2 + 1]


def _name(model: nn.Module) -> str:
    return type(model).__name__


def _unliftable(model: PreTrainedModel, why: str) -> ModelError:
    return ModelError(
        f"{_name(model)} cannot be used as a head: it needs more than the body's hidden states "
        f"({why}); choose another kind of end task, or another model family"
    )
