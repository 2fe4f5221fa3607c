"""The body as one objective's `compute` calls it."""

from torch import Tensor

from tartan.body import Body
from tartan.packed import Packed
from tartan.seeding import derive, seed_generators


class ObjectiveBody:
    """The `tartan.Encoder` of one micro-batch: each pass has dropout masks of its own.

    A pass seeds torch's global generators, from which dropout is sampled, also that of a head which
    is called after the pass. Use it inside `tartan.seeding.seeded`, which restores them.
    """

    def __init__(self, body: Body, seed: int, *purpose: str | int) -> None:
        """Masks are a function of `seed`, `purpose` and the view: see `__call__`."""
        self._body, self._seed, self._purpose = body, seed, purpose
        self._passes = 0

    def embed(self, packed: Packed) -> Tensor:
        """Return the token embeddings, [tokens, width] float."""
        return self._body.embed(packed)

    def __call__(
        self, packed: Packed, embeddings: Tensor | None = None, *, view: int | None = None
    ) -> Tensor:
        """Return hidden states [tokens, hidden].

        Args:
            packed: the sequences.
            embeddings: [tokens, width] float, to use instead of `embed(packed)`.
            view: passes of the same view have the same masks; by default, the number of the pass.
        """
        view, self._passes = self._passes if view is None else view, self._passes + 1
        seed_generators(derive(self._seed, *self._purpose, view))
        hidden: Tensor = self._body(packed, embeddings)
        return hidden
