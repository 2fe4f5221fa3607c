"""A head is the family's own Hugging Face model for a task, with its body lifted out.

Where the body stood, a stand-in answers with the hidden states it is given, so that the family's
own code computes the logits: its pooling, its activations, its dropout. The pooler stays with the
head, since a body without a classifier has no use for it.
"""

import inspect
from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPooling

from tartan.body.body import Body
from tartan.body.layouts import FAILURES, agree, evaluating, position_limit, trial_tokens
from tartan.errors import ModelError


class StandIn(nn.Module):
    """Stands where a head's body stood.

    Attributes:
        pooler: the body's pooler, or None where the head has no use for one.
        pooler_activation: what follows a pooler that is a bare Linear.
    """

    def __init__(self, base: PreTrainedModel) -> None:
        super().__init__()
        self._signature = inspect.signature(base.forward)
        self.pooler = getattr(base, "pooler", None)
        names = ("pooler_activation", "activation")
        activations = (getattr(base, name, None) for name in names)
        self.pooler_activation = next((a for a in activations if a is not None), None)

    def forward(self, *args: Any, **kwargs: Any) -> BaseModelOutputWithPooling:
        """The body's `inputs_embeds`, [rows, tokens, hidden], as its hidden states."""
        hidden = self._signature.bind(*args, **kwargs).arguments["inputs_embeds"]
        return BaseModelOutputWithPooling(last_hidden_state=hidden, pooler_output=self.pool(hidden))

    def pool(self, hidden: Tensor) -> Tensor | None:
        """What the body's pooler makes of hidden states: [rows, hidden], or None."""
        pooled: Tensor | None = None
        if isinstance(self.pooler, nn.Linear):
            pooled = self.pooler(hidden[:, 0])
            if self.pooler_activation is not None:
                pooled = self.pooler_activation(pooled)
        elif self.pooler is not None:
            pooled = self.pooler(hidden)
        return pooled


class LiftedHead(nn.Module):
    """A family's own head, on the hidden states of a run's body.

    Its parameters and its state are its own: a weight that the family ties to the body's (an LM
    decoder to the input embedding) is borrowed, the very tensor of the body. Gradients reach it;
    `parameters`, `state_dict` and `to` leave it to the body.

    Attributes:
        model: the Hugging Face model with a stand-in where its body was.
        borrowed: names of the borrowed weights, with their names in the body's model.
        new_parameters: names of the own parameters that no checkpoint held.
    """

    def __init__(
        self, model: PreTrainedModel, borrowed: Mapping[str, str], new_parameters: Collection[str]
    ) -> None:
        """Use `lift`, which proves the head."""
        super().__init__()
        self.model = model
        self.borrowed = dict(borrowed)
        own = (name for name, _ in model.named_parameters())
        self.new_parameters = tuple(name for name in own if name in new_parameters)

    def forward(self, hidden: Tensor, mask: Tensor | None = None) -> Tensor:
        """Logits.

        Args:
            hidden: [rows, tokens, hidden] float.
            mask: [rows, tokens] bool, False at padding; None where nothing is padded, or where the
                head looks at each token by itself.

        Returns:
            [rows, classes] float of a head on sequences, [rows, tokens, classes] of one on tokens.
        """
        attention_mask = None if mask is None else mask.long()
        return _logits(self.model, inputs_embeds=hidden, attention_mask=attention_mask)


def lift(model: PreTrainedModel, body: Body, new: Collection[str] | None = None) -> LiftedHead:
    """Lift the body out of a family's model for a task, and prove what is left.

    Args:
        model: the family's model for the task, in float32; it is changed.
        body: the run's body, of the same architecture; lends the weights that the family ties.
        new: names of the model's parameters that no checkpoint held; None for all of them.

    Raises:
        ModelError: when what is left does not give the family's own logits, or the tied weights
            are not those of the body.
    """
    prefix, base = model.base_model_prefix, model.base_model
    if base is model or not isinstance(base, PreTrainedModel):
        raise ModelError(f"{_name(model)} has no body to lift out: it names no base model")
    new = [name for name, _ in model.named_parameters()] if new is None else new
    borrowed = _tied_to(base, model)
    with torch.no_grad(), evaluating(model):
        tokens, mask = _trial_rows(base)
        try:
            expected = _logits(model, input_ids=tokens, attention_mask=mask.long())
            read = base(input_ids=tokens, attention_mask=mask.long(), return_dict=True)
            setattr(model, prefix, StandIn(base))
            head = LiftedHead(model, borrowed, [name for name in new if name not in borrowed])
            found = head(read.last_hidden_state, mask)
        except FAILURES as error:
            raise _unliftable(model, f"{type(error).__name__}: {error}") from error
    if not agree(_real(expected, mask), _real(found, mask)):
        raise _unliftable(model, "its logits change when only they are given")
    for name, source in borrowed.items():
        borrow(model, name, _lent(body, source, model.get_parameter(name)))
    return head.train()


def borrow(model: nn.Module, name: str, parameter: nn.Parameter) -> None:
    """Have a submodule compute with a parameter that it does not own."""
    path, _, attribute = name.rpartition(".")
    module = model.get_submodule(path)
    delattr(module, attribute)
    # Past nn.Module's own __setattr__, which would register the parameter as the submodule's.
    module.__dict__[attribute] = parameter


def own(model: nn.Module, name: str, parameter: nn.Parameter) -> None:
    """Undo `borrow`: make a parameter the submodule's own."""
    path, _, attribute = name.rpartition(".")
    module = model.get_submodule(path)
    del module.__dict__[attribute]
    module.register_parameter(attribute, parameter)


def _logits(model: PreTrainedModel, **inputs: Tensor | None) -> Tensor:
    given = {name: value for name, value in inputs.items() if value is not None}
    logits: Tensor = model(**given, return_dict=True).logits
    return logits


def _tied_to(base: nn.Module, model: nn.Module) -> dict[str, str]:
    """Parameters of a model outside its base that are the base's: their names in both."""
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
    """The body's parameter of a name; ModelError unless it has the given one's shape."""
    parameter = dict(body.model.named_parameters()).get(name)
    if parameter is None or parameter.shape != like.shape:
        found = "none" if parameter is None else str(tuple(parameter.shape))
        raise ModelError(
            f"a head's tied weight {name} has shape {tuple(like.shape)} and the body's has "
            f"{found}: head and body must come from the same model"
        )
    return parameter


def _trial_rows(base: PreTrainedModel) -> tuple[Tensor, Tensor]:
    """Two rows, the second one padded: tokens [2, longest] int64, mask [2, longest] bool."""
    longest = min(9, position_limit(base) or 9)
    tokens = trial_tokens(base.config, 2 * longest).view(2, longest).to(base.device)
    mask = torch.ones_like(tokens, dtype=torch.bool)
    mask[1, longest // 2 + 1 :] = False
    return tokens.masked_fill(~mask, base.config.pad_token_id or 0), mask


def _real(logits: Tensor, mask: Tensor) -> Tensor:
    """Logits without those at padding."""
    return logits[mask] if logits.shape[:2] == mask.shape and logits.ndim > 2 else logits


def _name(model: PreTrainedModel) -> str:
    return type(model).__name__


def _unliftable(model: PreTrainedModel, why: str) -> ModelError:
    return ModelError(
        f"{_name(model)} cannot serve as a head: it reads more than hidden states ({why}); "
        "choose another model family"
    )
