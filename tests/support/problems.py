"""A small model with three losses, and a weighting that measures whatever a test wants."""

import torch
from torch import Tensor, nn

from tartan import Needs, Shared, Term, Weighting
from tartan_weightings.static import StaticOptions

WEIGHTS = torch.tensor([0.5, 0.2, 0.3])


class Fixed(Weighting):
    """Given weights, and any needs: so that the three ways can be compared."""

    Options = StaticOptions
    needs = Needs.LOSSES

    def __init__(self, weights: Tensor, needs: Needs) -> None:
        super().__init__(None, ())
        self._weights, self.needs = weights, needs  # type: ignore[misc]

    def weights(self) -> Tensor:
        return self._weights


class Problem:
    """A body, three heads, and rows for each: losses are sums of squares."""

    def __init__(self, seed: int = 0) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.body = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 5))
            self.heads = [nn.Linear(5, 2) for _ in range(3)]
            self.rows = [torch.randn(12, 4) for _ in range(3)]
            self.dev = torch.randn(6, 4)

    def loss(self, index: int, rows: Tensor) -> Tensor:
        return self.heads[index](self.body(rows)).pow(2).sum()

    def terms(self, micro: int = 1) -> list[Term]:
        return [
            Term(
                [lambda i=i, part=part: self.loss(i, part) for part in rows.chunk(micro)],
                len(rows),
                list(self.heads[i].parameters()),
            )
            for i, rows in enumerate(self.rows)
        ]

    def dev_term(self) -> Term:
        return Term([lambda: self.body(self.dev).pow(2).sum()], len(self.dev))

    def shared(self) -> Shared:
        return Shared(self.body.parameters())

    def gradients(self) -> list[Tensor]:
        modules = [self.body, *self.heads]
        return [p.grad.clone() for m in modules for p in m.parameters() if p.grad is not None]

    def gradient_of(self, loss: Tensor) -> Tensor:
        return torch.cat([g.flatten() for g in torch.autograd.grad(loss, self.body.parameters())])
