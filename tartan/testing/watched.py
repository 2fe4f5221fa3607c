"""The body as `Objective.compute` calls it in a trial: its passes are recorded."""

from dataclasses import replace

import torch
from torch import Tensor

from tartan.body import Body
from tartan.context import Encoder
from tartan.objective import Passes
from tartan.packed import Packed


class WatchedBody:
    """Records the passes that an objective makes.

    Attributes:
        outputs: the hidden states of each pass forward, [tokens, hidden].
        given: copies of these as the objective received them.
        read: the sequences of each pass.
        backward: passes backward so far.
    """

    def __init__(self, body: Body | Encoder, *, spoil: bool = False) -> None:
        """`spoil`: replace by NaN the hidden states that a batch does not want."""
        self._body, self._spoil = body, spoil
        self.outputs: list[Tensor] = []
        self.given: list[Tensor] = []
        self.read: list[Packed] = []
        self.backward = 0

    @property
    def passes(self) -> Passes:
        """The passes so far."""
        return Passes(len(self.outputs), self.backward)

    def embed(self, packed: Packed) -> Tensor:
        """Return the token embeddings, [tokens, width] float."""
        return self._body.embed(packed)

    def __call__(
        self, packed: Packed, embeddings: Tensor | None = None, *, view: int | None = None
    ) -> Tensor:
        """Return hidden states [tokens, hidden]; a bare body has no dropout to take a view of."""
        given = replace(packed, wanted=None) if self._spoil else packed
        if isinstance(self._body, Body):
            hidden: Tensor = self._body(given, embeddings)
        else:
            hidden = self._body(given, embeddings, view=view)
        if self._spoil and packed.wanted is not None:
            unread = torch.full_like(hidden, torch.nan)
            hidden = unread.index_copy(0, packed.wanted, hidden[packed.wanted])
        self.outputs.append(hidden)
        self.given.append(hidden.detach().clone())
        self.read.append(packed)
        if hidden.requires_grad:
            hidden.register_hook(self._count)
        return hidden

    def _count(self, _: Tensor) -> None:
        """Count a pass backward."""
        self.backward += 1
