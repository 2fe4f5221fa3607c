"""Count the arithmetic of a step, and summarise measurements."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Self

from torch import nn

from tartan.batch import Row
from tartan.train.model import JointModel


@dataclass(frozen=True)
class Work:
    """The work of one or several steps, however it is implemented.

    Attributes:
        tokens: the objectives' real tokens; padding and dev rows are not among them.
        flops: floating-point operations of the body's matrices that the method needs.
    """

    tokens: int = 0
    flops: float = 0.0

    def __add__(self, other: "Work") -> "Work":
        """Add two amounts of work."""
        return Work(self.tokens + other.tokens, self.flops + other.flops)


@dataclass(frozen=True)
class Body:
    """The sizes that determine the arithmetic of a transformer body.

    Attributes:
        weights: entries of the matrices of its linear layers; embeddings are looked up.
        layers: layers that attend.
        hidden: width of the hidden states.
    """

    weights: int
    layers: int
    hidden: int

    @classmethod
    def of(cls, model: nn.Module) -> Self:
        """Count a Hugging Face body, each matrix once."""
        linear = (part for part in model.modules() if isinstance(part, nn.Linear))
        config: Any = model.config
        return cls(
            sum(part.weight.numel() for part in linear),
            config.num_hidden_layers,
            config.hidden_size,
        )

    def forward(self, lengths: Iterable[int]) -> float:
        """Return the operations of a forward pass over sequences of these lengths, in tokens.

        2 * weights * tokens for the linear layers; 4 * layers * hidden * sum of length² for the
        two products of attention. A backward pass costs twice that.
        """
        sizes = list(lengths)
        squares = sum(size * size for size in sizes)
        return 2.0 * self.weights * sum(sizes) + 4.0 * self.layers * self.hidden * squares

    def training(self, lengths: Iterable[int]) -> float:
        """Return the operations of a forward and a backward pass."""
        return 3 * self.forward(lengths)

    def dev_gradient(self, rows: Sequence[Row], fitted: int, graded: int) -> float:
        """Return the operations of a dev gradient: features once per fit, one pass after it.

        Args:
            rows: those that dev batches are drawn from; what their average row costs is counted.
            fitted: rows that the probe is fitted on.
            graded: rows that the gradient is taken on.
        """
        drawn = min(fitted + graded, len(rows))
        share = drawn / (fitted + graded)
        each = self.forward(lengths_of(rows)) / len(rows)
        return share * each * (fitted + 3 * graded)


def lengths_of(rows: Iterable[Row]) -> list[int]:
    """Return the number of tokens of each row."""
    return [len(row["input_ids"]) for row in rows]


def objectives_work(body: Body, batches: Iterable[Sequence[Row]]) -> Work:
    """Return the work of a step over one batch of rows for each objective."""
    work = Work()
    for rows in batches:
        lengths = lengths_of(rows)
        work += Work(sum(lengths), body.training(lengths))
    return work


def gradient_bytes(model: JointModel) -> int:
    """Return the bytes of one copy of the body's gradient."""
    return sum(p.numel() * p.element_size() for p in model.shared())


def median_ratio(over: Sequence[float], under: Sequence[float]) -> float:
    """Return the median of the ratios of two sides, round by round.

    A machine that slows down slows both sides of a round, so that their ratio changes little.
    """
    return median(a / b for a, b in zip(over, under, strict=True))
