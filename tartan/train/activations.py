"""How much memory the activations of a pass take, found by trying short ones."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tartan.body import Body
from tartan.packed import Packed
from tartan.seeding import seeded
from tartan.train.runtime import Runtime

SHORT, LONG, TOKENS = 16, 64, 64
"""Lengths of sequences that are tried, and the least number of tokens."""


@dataclass(frozen=True)
class Activations:
    """What the backward pass through a body needs of the forward pass, in bytes.

    Attributes:
        fixed: whatever the sequences, such as weights in another precision.
        token: for each token.
        pair: for each pair of tokens of the same sequence, as attention weights are kept.
        most: the most tokens of a part, where passes are taken in parts.
    """

    fixed: float
    token: float
    pair: float
    most: int | None = None

    def of(self, lengths: Sequence[int]) -> int:
        """Return what a pass over sequences of these lengths keeps at once."""
        if not lengths:
            return 0
        tokens, pairs = sum(lengths), sum(length**2 for length in lengths)
        share = 1.0 if self.most is None else min(1.0, max(self.most, *lengths) / tokens)
        return round(self.fixed + share * (self.token * tokens + self.pair * pairs))


def measure(body: Body, runtime: Runtime) -> Activations:
    """Return what a body in training mode keeps, as its options and the precision have it.

    Three passes over a few sequences tell what grows with tokens from what grows with pairs.
    """
    long = min(LONG, body.max_length or LONG)
    short = min(SHORT, long)
    tried = [
        _sequences(body, length, tokens)
        for length, tokens in ((short, TOKENS), (short, 2 * TOKENS), (long, 2 * TOKENS))
    ]
    with seeded(0, "activations"), torch.compiler.set_stance("force_eager"):
        found = [kept(body, packed, runtime) for packed in tried]
    sizes = [[1, sum(each.lengths), sum(n * n for n in each.lengths)] for each in tried]
    solution, *_ = np.linalg.lstsq(np.array(sizes), np.array(found), rcond=None)
    fixed, token, pair = (max(0.0, float(part)) for part in solution)
    return Activations(fixed, token, pair, body.max_tokens)


def kept(body: Body, packed: Packed, runtime: Runtime) -> int:
    """Return the bytes that a forward pass keeps besides parameters, each storage once."""
    known = {parameter.untyped_storage().data_ptr() for parameter in body.parameters()}
    found: dict[int, tuple[int, Tensor]] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:  # while it is held, no other gets its address
            found[storage.data_ptr()] = storage.nbytes(), tensor.detach()
        return tensor.detach()  # itself, a saved output would keep its pass alive

    training = body.training
    body.train()
    hooks = torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor)
    with (
        runtime.same_weights(),
        body.same_weights(),
        body.one_by_one(),
        runtime.autocast(),
        hooks,
    ):
        hidden = body(packed)
    body.train(training)
    return sum(size for size, _ in found.values()) + int(hidden.nbytes)


def _sequences(body: Body, length: int, tokens: int) -> Packed:
    """Return sequences of a length, of this many tokens or a few less, on the body's device."""
    lengths = (length,) * (tokens // length)
    return Packed(torch.zeros(sum(lengths), dtype=torch.int64), lengths).to(body.model.device)
