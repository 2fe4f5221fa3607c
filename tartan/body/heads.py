"""A head is the family's own Hugging Face model for a task, with its body lifted out.

In place of the body a stand-in returns the hidden states it is given, so that the family's own code
computes the logits: its pooling, its activations, its dropout. The pooler stays with the head,
since a body without a classifier does not use it.
"""

import inspect
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPoolingAndCrossAttentions

from tartan.body.last_layer import find_last_layer, scale_and_shift
from tartan.errors import ModelError
from tartan.evaluating import evaluating
from tartan.unit import Unit


@dataclass
class Output(BaseModelOutputWithPoolingAndCrossAttentions):
    """What a stand-in returns: all that heads look for in a body's output.

    Attributes:
        mems: XLNet's memory, always None.
        global_attentions: Longformer's, always None.
    """

    mems: None = None
    global_attentions: None = None


class StandIn(nn.Module):
    """Replaces a head's body: returns the hidden states it is given.

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

    def forward(self, *args: Any, **kwargs: Any) -> Output:
        """Return the body's `inputs_embeds`, [rows, tokens, hidden], as its hidden states."""
        hidden = self._signature.bind(*args, **kwargs).arguments["inputs_embeds"]
        return Output(last_hidden_state=hidden, pooler_output=self.pool(hidden))

    def pool(self, hidden: Tensor) -> Tensor | None:
        """Pool hidden states as the body's pooler does: [rows, hidden], or None without one."""
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
        width: of the hidden states it reads.
        last: True if it reads each row's last token before the padding, as decoders' heads do.
        predicts_tokens: True if it is a language model's, with logits over the vocabulary. Other
            heads compute in float32 inside autocast too.
        unit: what its outputs are standardised by; None where they are the exported model's.
        notice: what the user should know about the checkpoint's head; None where nothing is.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        borrowed: Mapping[str, str],
        new_parameters: Collection[str],
        width: int,
        *,
        predicts_tokens: bool,
    ) -> None:
        """Use `lift`, which verifies the head."""
        super().__init__()
        self.model = model
        self.borrowed = dict(borrowed)
        own = (name for name, _ in model.named_parameters())
        self.new_parameters = tuple(name for name in own if name in new_parameters)
        self.width = width
        self.last = False
        self.unit: Unit | None = None
        self.notice: str | None = None
        self.predicts_tokens = predicts_tokens

    def forward(self, hidden: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compute logits.

        Args:
            hidden: [rows, tokens, hidden] float.
            mask: [rows, tokens] bool, False at padding; None where nothing is padded, or where the
                head looks at each token by itself.

        Returns:
            [rows, classes] float of a head on sequences, [rows, tokens, classes] of one on tokens;
            float32 of a head on labels. With a `unit` they are standardised.
        """
        if self.last:
            # The family's code counts from the end of the row, where it does not see token ids.
            rows = torch.arange(len(hidden), device=hidden.device)
            ends = -1 if mask is None else mask.sum(1) - 1
            hidden, mask = hidden[rows, ends][:, None], None
        attention_mask = None if mask is None else mask.long()
        if self.predicts_tokens:
            return logits_of(self.model, inputs_embeds=hidden, attention_mask=attention_mask)
        hidden = hidden.float()
        with torch.autocast(hidden.device.type, enabled=False):
            return logits_of(self.model, inputs_embeds=hidden, attention_mask=attention_mask)

    @property
    def device(self) -> torch.device:
        """The device of its weights, which may all be the body's."""
        own = next(self.parameters(), None)
        if own is not None:
            return own.device
        path, _, attribute = next(iter(self.borrowed)).rpartition(".")
        weight: Tensor = getattr(self.model.get_submodule(path), attribute)
        return weight.device

    def last_layer(self) -> nn.Linear | None:
        """Return the linear layer that gives the logits; None where the family has none."""
        device = self.device
        hidden = torch.arange(2 * 3 * self.width, device=device).sin().view(2, 3, self.width)
        mask = torch.ones(2, 3, dtype=torch.bool, device=device)
        with evaluating(self):
            return find_last_layer(self.model, lambda: self(hidden, mask))

    def set_unit(self, unit: Unit) -> None:
        """Standardise the outputs from now on; `export` folds the unit into the last layer.

        A head from a checkpoint keeps its predictions in the labels' own unit. A last layer without
        a bias cannot hold a mean: its unit is `unit.uncentred`, and the head has a notice.

        Raises:
            ModelError: the family has no last linear layer to fold the unit into.
        """
        layer = self.last_layer()
        if layer is None:
            raise ModelError(
                f"{type(self.model).__name__} cannot predict a number: it has no last linear layer "
                "to hold the labels' scale; choose another model family"
            )
        if layer.bias is None:
            lines = [self.notice] if self.notice else []
            self.notice = "; ".join([*lines, uncentred(unit)])
            unit = unit.uncentred
        if not self.is_new(layer):
            scale_and_shift(layer, 1 / unit.scale, -unit.mean / unit.scale)
        self.unit = unit
        self._unit_layer = next(n for n, m in self.model.named_modules() if m is layer)

    def mark_new(self, layer: nn.Linear) -> None:
        """Count a layer's parameters among those that no checkpoint held."""
        own = {id(parameter) for parameter in layer.parameters()}
        named = self.model.named_parameters()
        self.new_parameters = tuple(
            name for name, p in named if name in self.new_parameters or id(p) in own
        )

    def freeze_loaded(self) -> None:
        """Freeze the parameters that a checkpoint held."""
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(name in self.new_parameters)

    def is_new(self, layer: nn.Linear) -> bool:
        """Return whether no checkpoint held a layer's weight."""
        return any(self.model.get_parameter(name) is layer.weight for name in self.new_parameters)

    @contextmanager
    def in_label_units(self) -> Iterator[None]:
        """Fold the unit into the last layer during a block, then restore the exact weights."""
        if self.unit is None:
            yield
            return
        layer = self.model.get_submodule(self._unit_layer)
        assert isinstance(layer, nn.Linear)
        before = [parameter.detach().clone() for parameter in layer.parameters()]
        scale_and_shift(layer, self.unit.scale, self.unit.mean)
        try:
            yield
        finally:
            with torch.no_grad():
                for parameter, value in zip(layer.parameters(), before, strict=True):
                    parameter.copy_(value)


def uncentred(unit: Unit) -> str:
    """Return the notice for a head without a bias, on labels with a unit."""
    return (
        "the family's head has no bias to hold the labels' mean, so the body has to learn it: "
        f"their mean is {unit.mean:.3g}, their standard deviation {abs(unit.scale):.3g}; if it is "
        "many of these, subtract a number from all labels"
    )


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


def logits_of(model: PreTrainedModel, **inputs: Tensor | None) -> Tensor:
    """Return a model's logits; inputs that are None are not passed."""
    given = {name: value for name, value in inputs.items() if value is not None}
    logits: Tensor = model(**given, return_dict=True).logits
    return logits
