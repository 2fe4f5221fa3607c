"""Group: one of several processes that share the micro-batches of a step."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from signal import Signals
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.distributed import ProcessGroup
from torch.optim import AdamW, Optimizer

from tartan.distributed.collectives import join_parts, sum_all
from tartan.distributed.failure import Watch
from tartan.distributed.place import Place
from tartan.distributed.ranks import Groups, Ranks
from tartan.distributed.replicated import ReplicatedShared
from tartan.distributed.sharded import ShardedShared, make_mesh, shard_body
from tartan.errors import ConfigError, PeerError, TartanError, message_of
from tartan.shared import Shared

T = TypeVar("T")
SAVED = 1800.0
"""Seconds that processes which fail together wait at most for rank 0 to save."""


class Group(Ranks):
    """One of several processes. See `Ranks` for what its methods do.

    Every process calls the same methods in the same order.

    Attributes:
        names: what each process is called in messages.
        common: an error that is not that of one process, but of the run.
    """

    def __init__(
        self, place: Place, host: ProcessGroup, names: Sequence[str], watch: Watch
    ) -> None:
        """Take a place.

        Args:
            place: the place of this process.
            host: all processes, for messages on the CPU that are not part of a step's arithmetic.
            names: what each is called in messages.
            watch: over all of them.
        """
        self.rank, self.size, self.names = place.rank, place.size, names
        self._place, self._host, self._watch = place, host, watch
        self._local, self._local_size = place.local, place.local_size
        self._copies = 0  # of a sharded body
        self._divides_moments = False
        self.common: BaseException | None = None

    def fresh(self) -> "Group":
        """Return the same group for another run, whose body is not divided yet."""
        return Group(self._place, self._host, self.names, self._watch)

    @property
    def part(self) -> tuple[int, int] | None:
        """As `Ranks.part`."""
        return (self.rank % self._local_size, self._local_size) if self._copies else None

    @property
    def saves_jointly(self) -> bool:
        """As `Ranks.saves_jointly`."""
        return bool(self._copies) or self._divides_moments

    @property
    def writes(self) -> bool:
        """As `Ranks.writes`."""
        return self.first or (self.part is not None and self.rank < self._local_size)

    def micro_batches(self, numbers: range) -> range:
        """Return a part of the numbers: those of rank 0 come first."""
        part = len(numbers) // self.size
        return numbers[self.rank * part : (self.rank + 1) * part]

    def evaluated(self, batches: int) -> Sequence[int]:
        """Return every so many batches; the last one may be read by several in the last round."""
        rounds = range(0, batches, self.size)
        return [min(first + self.rank, batches - 1) for first in rounds]

    def shared(self, parameters: Iterable[nn.Parameter]) -> Shared:
        """Return the parameters that objectives share: each process has a copy, or a part."""
        if self._copies:
            return ShardedShared(parameters, self.rank, self.size, self._copies)
        return ReplicatedShared(parameters, self.rank, self.size)

    def divide(
        self,
        body: nn.Module,
        layers: Sequence[nn.Module],
        kept: Sequence[nn.Parameter],
    ) -> bool:
        """Divide the parameters of a body among the processes of each machine."""
        device = next(body.parameters()).device
        self._copies, rest = divmod(self.size, self._local_size)
        if rest:
            raise ConfigError(
                f"sharded=true: {self.size} processes on machines of {self._local_size}: start as "
                "many on each machine"
            )
        shard_body(body, layers, kept, make_mesh(device, self._copies, self._local_size))
        return True

    def divide_moments(self) -> bool:
        """Divide the optimiser's moments among all processes."""
        self._divides_moments = True
        return True

    def adamw(self, groups: Groups, **options: Any) -> Optimizer:
        """Return AdamW, or what divides its moments."""
        if not self._divides_moments:
            return AdamW(groups, **options)
        # Here, as it imports what torch warns of and few runs need.
        from tartan.distributed.moments import DividedAdamW  # noqa: PLC0415

        return DividedAdamW(groups, **options)

    def counts(self, values: Sequence[int]) -> list[int]:
        """As `Ranks.counts`."""
        total = torch.tensor(values, dtype=torch.int64)
        sum_all(total)
        return [int(value) for value in total]

    def gather(self, values: dict[int, Tensor]) -> dict[int, Tensor]:
        """Return all processes' tensors by number, on the CPU."""
        mine = {number: value.cpu() for number, value in values.items()}
        merged: dict[int, Tensor] = {}
        for theirs in self._all(mine):
            merged |= theirs
        return merged

    def largest(self, value: int) -> int:
        """As `Ranks.largest`."""
        every: list[int] = self._all(value)
        return max(every)

    def by_first(self, work: Callable[[], T]) -> T:
        """As `Ranks.by_first`."""
        answer: list[Any] = [None, False]
        if self.first:
            try:
                answer = [work(), True]
            except Exception as error:
                self.common = error
                raise
            finally:  # a failure is raised here after the others know of it
                distributed.broadcast_object_list(answer, 0, self._host)
        else:
            distributed.broadcast_object_list(answer, 0, self._host)
        result, done = answer
        if not done:
            raise PeerError(2)
        return result  # type: ignore[no-any-return]

    @contextmanager
    def agreed(self) -> Iterator[None]:
        """As `Ranks.agreed`; of several that fail, the first one reports it."""
        failed: TartanError | None = None
        try:
            yield
        except TartanError as error:
            failed = error
        own = failed is not None and not isinstance(failed, PeerError)
        texts = self._all(message_of(failed) if failed and own else None)
        ranks = [rank for rank, text in enumerate(texts) if text is not None]
        if not ranks:
            if failed:  # in a block around this one, all know already
                raise failed
            return
        if failed is None or self.rank != ranks[0]:
            raise PeerError(2) from failed
        if len(ranks) == self.size and len(set(texts)) == 1:
            self.common = failed
        raise failed

    def failed(self, error: Exception) -> None:
        """As `Ranks.failed`."""
        if isinstance(error, PeerError):
            return
        reasons = self._watch.failures(f"{type(error).__name__}: {error}")
        if reasons is None:
            return
        if not self.first:
            failure = self._watch.failure(SAVED)
            raise PeerError(failure.status if failure else 1) from error
        if len(set(reasons)) == 1:
            self.common = error

    def saving(self) -> AbstractContextManager[object]:
        """As `Ranks.saving`."""
        return self._watch.saving

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """Do work in the first process of each machine first."""
        if self._local:
            self.wait()
        try:
            yield
        finally:
            if not self._local:
                self.wait()

    def wait(self) -> None:
        """As `Ranks.wait`."""
        distributed.barrier(self._host)

    def signal(self, received: int | None) -> tuple[int | None, str]:
        """Return the signal that a process has received; it is named if it was one alone."""
        mine = torch.tensor([received or 0], dtype=torch.int64)
        every = torch.empty(self.size, dtype=torch.int64)
        join_parts(mine, every, self._host)
        reached = [rank for rank, number in enumerate(every.tolist()) if number]
        if not reached:
            return None, ""
        number = int(every[reached[0]])
        alone = f"; {Signals(number).name} came to {self.names[reached[0]]}"
        return number, alone if len(reached) == 1 else ""

    def _all(self, value: Any) -> list[Any]:
        """Return all processes' values, by rank."""
        found: list[Any] = [None] * self.size
        distributed.all_gather_object(found, value, self._host)
        return found
