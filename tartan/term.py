"""Terms of a step, the losses that `backward` weighs, and what is refused of them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

from torch import Tensor, nn

from tartan.shared import Shared
from tartan.sizes import counted


@dataclass(frozen=True)
class Term:
    """One objective's loss over a whole effective batch, computed piece by piece.

    Attributes:
        pieces: one callable per micro-batch; each runs its forward pass and returns the *sum* of
            the losses of its items, [] float. None where a micro-batch has no items of this term.
            Where only losses are needed, pieces of the same place share a backward pass.
        items: items of all pieces; the mean loss is the pieces' sum divided by it.
        private: parameters that this term trains and that are not shared (those of its head).
        retain: True to keep the graph, because other terms' losses were computed through it.
    """

    pieces: Sequence[Callable[[], Tensor] | None]
    items: int = 1
    private: Sequence[nn.Parameter] = ()
    retain: bool = False

    @classmethod
    def of(cls, loss: Tensor, private: Iterable[nn.Parameter] = ()) -> Self:
        """Make a term of a mean loss that is already computed, [] float."""
        if isinstance(private, nn.Module):
            raise TypeError("Term.of: pass head.parameters(), not the head")
        return cls([lambda: loss], 1, tuple(private), retain=True)

    @property
    def per_item(self) -> float:
        """The factor that turns the pieces' sum into the mean; a batch without items has loss 0."""
        return 1 / max(self.items, 1)


def check(terms: Sequence[Term], shared: Shared, dev: Term | None, weighed: int) -> None:
    """Refuse arguments of `backward` that would be used wrongly.

    Args:
        terms: one for each objective that is computed.
        shared: the parameters whose gradients are measured.
        dev: the dev loss, if one is passed.
        weighed: how many objectives are computed, as the weighting or `active` says.

    Raises:
        TypeError, ValueError: an argument cannot be used; the message names it.
    """
    if not isinstance(shared, Shared):
        raise TypeError(f"shared must be a tartan.Shared, got {_kind(shared)}: make it once, "
                        "Shared(body.parameters())")  # fmt: skip
    if isinstance(terms, Term) or not isinstance(terms, Sequence):
        raise TypeError(f"terms must be a list of tartan.Term, got {_kind(terms)}")
    if len(terms) != weighed:
        raise ValueError(f"terms has {counted(len(terms), 'entry', 'entries')}, but the weighting "
                         f"weighs {counted(weighed, 'objective')}: pass one Term for each, the "
                         "primary first")  # fmt: skip
    own = {id(parameter) for parameter in shared.parameters}
    for name, term in _named(terms, dev):
        if not isinstance(term, Term):
            raise TypeError(f"{name} must be a tartan.Term, got {_kind(term)}: write "
                            "Term.of(loss, head.parameters())")  # fmt: skip
        if not isinstance(term.private, Sequence):
            raise TypeError(f"{name}.private must be a list, got {_kind(term.private)}")
        if any(id(parameter) in own for parameter in term.private):
            raise ValueError(f"{name}.private has a shared parameter: leave it out, its gradient "
                             "is already part of the weighted sum")  # fmt: skip


def watched(
    terms: Sequence[Term], shared: Shared, dev: Term | None
) -> tuple[list[Term], Term | None]:
    """Return the same terms, whose pieces refuse losses that would be differentiated wrongly.

    A loss may reach shared parameters and private ones of any term. Any other trainable parameter
    would keep what each backward pass adds to its `.grad`, the dev gradient too. Reaching is looked
    up in the graph of the first loss of each term, once for a `Shared`.
    """
    allowed = {id(p) for p in shared.parameters} | {id(p) for term in terms for p in term.private}
    if dev is not None:
        allowed |= {id(p) for p in dev.private}
    known = frozenset(allowed), len(terms)
    named = [
        replace(term, pieces=[
            piece and partial(_value, piece, name, allowed, shared, (name, known))
            for piece in term.pieces
        ])
        for name, term in _named(terms, dev)
    ]  # fmt: skip
    return named[: len(terms)], named[-1] if dev is not None else None


def _value(
    piece: Callable[[], Tensor], name: str, allowed: set[int], shared: Shared, known: Any
) -> Tensor:
    """Compute a piece of a term. TypeError or ValueError where it cannot be differentiated."""
    loss = piece()
    if not isinstance(loss, Tensor):
        raise TypeError(f"{name}: a piece must return a tensor, got {_kind(loss)}")
    if loss.dim() != 0 or not loss.is_floating_point():
        raise ValueError(f"{name}: a loss must be one floating-point number, got {loss.dtype} of "
                         f"shape {list(loss.shape)}: return the sum over its items")  # fmt: skip
    if known not in shared.watched:
        for parameter in reached(loss):
            if id(parameter) not in allowed and not shared.covers(parameter):
                raise ValueError(
                    f"{name}: its loss reaches a trainable parameter of shape "
                    f"{list(parameter.shape)} that is neither shared nor private, and whose .grad "
                    "would be wrong: pass it in private of the term that trains it, or freeze it"
                )
        shared.watched.add(known)
    return loss


def reached(loss: Tensor) -> list[nn.Parameter]:
    """Return the trainable parameters that the graph of a loss reaches."""
    found: dict[int, nn.Parameter] = {}
    seen, left = set(), [loss.grad_fn]
    while left:
        node = left.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        leaf = getattr(node, "variable", None)
        if isinstance(leaf, nn.Parameter):
            found[id(leaf)] = leaf
        left += [following for following, _ in node.next_functions]
    return list(found.values())


def needs_gradient(value: Tensor) -> None:
    """ValueError unless a loss can be differentiated."""
    if not value.requires_grad:
        raise ValueError("the loss does not require a gradient: some parameter must be trained, "
                         "and the loss not computed under torch.no_grad()")  # fmt: skip


def _named(terms: Sequence[Term], dev: Term | None) -> list[tuple[str, Term]]:
    """Return the terms by the names of their arguments."""
    named = [(f"terms[{index}]", term) for index, term in enumerate(terms)]
    return [*named, ("dev", dev)] if dev is not None else named


def _kind(value: object) -> str:
    """Return what a value is, for an error."""
    return type(value).__name__
