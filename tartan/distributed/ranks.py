"""Ranks: what a process takes of the work, and how it agrees with others. Here: one alone."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeVar

from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from tartan.shared import Shared

T = TypeVar("T")
Groups = Sequence[dict[str, Any]]
"""Parameters and their options, as torch's optimisers take them."""


class Ranks:
    """One process alone: it takes everything, and agrees with itself.

    Attributes:
        rank: number of this process, from 0. Rank 0 writes files and prints.
        size: number of processes.
    """

    rank = 0
    size = 1

    @property
    def part(self) -> tuple[int, int] | None:
        """Place among the processes that share a sharded body, and their number; None if none."""
        return None

    @property
    def saves_jointly(self) -> bool:
        """Whether a checkpoint takes all processes, as none holds all of a run's state."""
        return False

    @property
    def writes(self) -> bool:
        """Whether this process writes part of a checkpoint.

        The processes of the first machine do; together they hold one copy of the body.
        """
        return self.first

    @property
    def first(self) -> bool:
        """Whether this is rank 0."""
        return self.rank == 0

    def micro_batches(self, numbers: range) -> range:
        """Return which of a step's micro-batches this process takes.

        Args:
            numbers: those of the step, as many for each process.
        """
        return numbers

    def evaluated(self, batches: int) -> Sequence[int]:
        """Return which batches of an evaluation this process reads, one after the other.

        All processes read as many, so that they can synchronise after each; several may read the
        same one.
        """
        return range(batches)

    def shared(self, parameters: Iterable[nn.Parameter]) -> Shared:
        """Return the parameters that objectives share."""
        return Shared(parameters)

    def divide(
        self,
        body: nn.Module,
        layers: Sequence[nn.Module],
        kept: Sequence[nn.Parameter],
    ) -> bool:
        """Divide the parameters of a body among processes; return False for one process."""
        return False

    def divide_moments(self) -> bool:
        """Divide the optimiser's moments among processes; return False for one process."""
        return False

    def adamw(self, groups: Groups, **options: Any) -> Optimizer:
        """Return AdamW, or what divides its moments; a step changes parameters in all processes.

        Args:
            groups: of parameters, as AdamW takes them.
            options: further arguments of AdamW.
        """
        return AdamW(groups, **options)

    def counts(self, values: Sequence[int]) -> list[int]:
        """Return sums of counts over all processes. It is called once a step."""
        return list(values)

    def gather(self, values: dict[int, Tensor]) -> dict[int, Tensor]:
        """Return all processes' tensors by number, on the CPU if they come from several."""
        return values

    def largest(self, value: int) -> int:
        """Return the largest value of any process."""
        return value

    def by_first(self, work: Callable[[], T]) -> T:
        """Do work in rank 0 alone, and return its result in all processes.

        Raises:
            PeerError: in the other processes, where it fails.
        """
        return work()

    @contextmanager
    def agreed(self) -> Iterator[None]:
        """Do work in all processes; if it fails in one, it fails in all.

        Raises:
            PeerError: in the processes that are not to report it.
        """
        yield

    def failed(self, error: Exception) -> None:
        """Find out whether all processes fail; then rank 0 alone saves and reports.

        Args:
            error: why this process cannot take a step.

        Raises:
            PeerError: in the others, once rank 0 has saved.
        """

    def saving(self) -> AbstractContextManager[object]:
        """Return a context in which the failure of another process does not end this one."""
        return nullcontext()

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """Do work in one process of each machine first, whose files the others then find."""
        yield

    def wait(self) -> None:
        """Wait until all processes are here."""

    def signal(self, received: int | None) -> tuple[int | None, str]:
        """Return the signal that a process has received, if one has; and a note on which one.

        Args:
            received: the number of the signal that this process has received.
        """
        return received, ""
