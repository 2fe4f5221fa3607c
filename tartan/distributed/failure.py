"""Failures of one process end all: the first one is reported, by one line that names the rank."""

import json
import os
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import timedelta

import torch
from torch import distributed
from torch._C._distributed_c10d import Store  # torch.distributed does not export it for types
from torch.distributed import DistNetworkError, ProcessGroup

KEY, ACKNOWLEDGED, FAILED = "failure", "acknowledged", "failed"
HEARD = 10.0
"""Seconds that rank 0 waits after a failure, so that the others can read from its store."""
FOREVER = timedelta(days=365)
GRACE = 15.0
"""Seconds in which a process ends by itself after a failure elsewhere, unless it is saving.
Launchers kill after 30."""
ALIKE = 5.0
"""Seconds in which processes that fail for the same reason all do."""


@dataclass(frozen=True)
class Failure:
    """Why all processes end.

    Attributes:
        rank: the process that failed.
        status: the exit status of all.
        text: what to print if that process cannot; else empty.
    """

    rank: int
    status: int
    text: str = ""


class Watch:
    """Watches over the processes of a group, in two threads that wait for messages.

    One waits for a message of the next rank, which is sent when everything is done: if that
    process ends before, the system closes the connection. The other waits for a failure to be
    announced in the store. After one, a process that does not end by itself is ended.

    Attributes:
        saving: held by a process while it saves, so that it is not ended then.
    """

    def __init__(
        self,
        store: Store,
        group: ProcessGroup,
        rank: int,
        size: int,
        names: list[str],
        keeper: str,
    ) -> None:
        """Start to watch.

        Args:
            store: where failures are announced; each thread has a connection of its own.
            group: on the CPU, used for nothing else.
            rank: of this process.
            size: how many there are.
            names: what each process is called in messages.
            keeper: what the process is called that holds the store.
        """
        self._store, self._group = store, group
        self._rank, self._size, self._names = rank, size, names
        self._keeper, self._said = keeper, False
        self._closing = False
        self._known = threading.Event()
        self._failure: Failure | None = None
        self._lock, self._speaking = threading.Lock(), threading.Lock()
        self.saving = threading.Lock()
        self._threads = [
            threading.Thread(target=work, args=(_connected(store),), daemon=True)
            for work in (self._listen, self._hear)
        ]
        for thread in self._threads:
            thread.start()

    def failure(self, seconds: float) -> Failure | None:
        """Return the failure that is known, or becomes known in some seconds."""
        self._known.wait(seconds)
        with self._speaking:  # this process may end when it knows, and not before it has said so
            return self._failure

    def announce(self, failure: Failure) -> Failure:
        """Announce a failure, unless there is one already; return the one that came first."""
        with self._lock, suppress(DistNetworkError, RuntimeError):
            return self._announce(self._store, failure)
        return self._failure or failure

    def failures(self, text: str) -> list[str] | None:
        """Return why each process cannot go on, by rank; None unless all fail about now.

        Args:
            text: why this one cannot.
        """
        keys = [f"{FAILED}/{rank}" for rank in range(self._size)]
        until = time.monotonic() + ALIKE
        with suppress(DistNetworkError, RuntimeError):
            self._store.set(keys[self._rank], text)
            while not self._known.is_set() and time.monotonic() < until:
                if self._store.check(keys):
                    return [self._store.get(key).decode() for key in keys]
                time.sleep(0.05)
        return None

    def linger(self) -> None:
        """Wait until the others know of the failure, as long as this process holds the store."""
        until = time.monotonic() + HEARD
        ended = self._failure.rank if self._failure and self._failure.text else 0  # cannot answer
        keys = [f"{ACKNOWLEDGED}/{rank}" for rank in range(1, self._size) if rank != ended]
        with suppress(DistNetworkError, RuntimeError):
            while keys and not self._store.check(keys) and time.monotonic() < until:
                time.sleep(0.05)

    def close(self) -> None:
        """End the watch: all processes are done."""
        self._closing = True
        distributed.send(torch.zeros(1), (self._rank - 1) % self._size, self._group)
        self._store.set(KEY, "")
        for thread in self._threads:
            thread.join(GRACE)

    def _announce(self, store: Store, failure: Failure) -> Failure:
        text = json.dumps(asdict(failure))
        first: bytes = store.compare_set(KEY, "", text)
        self._failure = Failure(**json.loads(first))
        self._acknowledge(store)
        if failure.text and self._failure == failure:
            self._say(failure)  # before the main thread learns of it, and ends this process
        self._known.set()
        return self._failure

    def _listen(self, store: Store) -> None:
        """Wait for the next rank's last message; if it ends before, announce that."""
        following = (self._rank + 1) % self._size
        try:
            distributed.recv(torch.zeros(1), following, self._group)
        except RuntimeError:
            if self._closing:
                return
            lost = Failure(following, 1, f"{self._names[following]} was killed or crashed")
            # Where the store has ended, `_hear` reports it.
            with self._speaking, suppress(DistNetworkError, RuntimeError):
                self._announce(store, lost)

    def _hear(self, store: Store) -> None:
        """Wait for a failure; some time after it, end this process."""
        try:
            store.wait([KEY], FOREVER)
            text = store.get(KEY)
            if not text:  # all is done
                return
            self._failure = Failure(**json.loads(text))
            self._acknowledge(store)
        except (DistNetworkError, RuntimeError):
            if self._closing:
                return
            if self._failure is None:
                self._failure = Failure(0, 1, f"{self._keeper} was killed or crashed")
            if self._rank == self._size - 1:  # it listens to rank 0: one process says either
                self._say(self._failure)
        self._known.set()
        threading.Event().wait(GRACE)
        with self.saving:
            os._exit(self._failure.status)

    def _acknowledge(self, store: Store) -> None:
        """Let rank 0 know that this process knows of the failure: `linger` waits for that."""
        store.set(f"{ACKNOWLEDGED}/{self._rank}", "")

    def _say(self, failure: Failure) -> None:
        """Print the line about a process that cannot do so itself, once."""
        with self._lock:
            said, self._said = self._said, True
        if said or not failure.text:
            return
        print(
            f"tartan: {failure.text}; the others ended. What was saved before is kept: give the "
            "same command to resume",
            file=sys.stderr,
            flush=True,
        )


def _connected(store: Store) -> Store:
    """Return a store with a connection of its own: a thread that waits holds up no other."""
    clone: Store = store.clone()  # type: ignore[attr-defined]  # torch's stubs leave it out
    return clone
