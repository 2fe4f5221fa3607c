"""A command in several processes, started as a launcher starts them; each is forked."""

import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import torch

from support.command import Answer
from support.process import Forked
from tartan.distributed.group import Group
from tartan.distributed.join import joined, leaving
from tartan.distributed.ranks import Ranks

LIMIT = 30.0
"""Seconds within which all processes end after one has failed."""


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Launched:
    """Processes of one command."""

    def __init__(
        self,
        *arguments: str,
        size: int,
        said: Path,
        prepare: Callable[[int], None] = lambda rank: None,
        environment: Mapping[str, str] = {},
    ) -> None:
        """Start them.

        Args:
            arguments: the command's.
            size: how many processes.
            said: the directory for what each says.
            prepare: called in each process, with its rank.
            environment: more variables of the environment.
        """
        port, said = free_port(), said.absolute()
        said.mkdir(parents=True, exist_ok=True)
        self.said = [said / str(rank) for rank in range(size)]
        self.processes = []
        for rank in range(size):
            place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "MASTER_PORT": port}
            given = {name: str(value) for name, value in place.items()}
            given |= {"MASTER_ADDR": "127.0.0.1", **environment}

            def start(rank: int = rank, given: Mapping[str, str] = given) -> None:
                os.environ.update(given)
                prepare(rank)

            self.processes.append(Forked(*arguments, said=self.said[rank], prepare=start))

    def wait(self) -> list[Answer]:
        """Wait for all, as a launcher does: after the first failure, the others have to end."""
        failed = 0.0
        while any(process.poll() is None for process in self.processes):
            if not failed and any(process.poll() for process in self.processes):
                failed = time.monotonic()
            if failed and time.monotonic() - failed > LIMIT:
                left = [p for p in self.processes if p.poll() is None]
                for process in left:
                    process.send_signal(signal.SIGKILL)
                    process.wait()
                raise AssertionError(f"{len(left)} processes did not end: {self._answers()}")
            time.sleep(0.02)
        return self._answers()

    def _answers(self) -> list[Answer]:
        return [
            Answer(process.wait() or 0, (said / "out").read_text(), (said / "err").read_text())
            for process, said in zip(self.processes, self.said, strict=True)
        ]


def launch(
    *arguments: str,
    size: int,
    said: Path,
    prepare: Callable[[int], None] = lambda rank: None,
    environment: Mapping[str, str] = {},
) -> list[Answer]:
    """Run a command in several processes; what each answers."""
    return Launched(
        *arguments, size=size, said=said, prepare=prepare, environment=environment
    ).wait()


def errors(answers: Sequence[Answer]) -> str:
    """What all processes have said of errors, as one text."""
    return "".join(answer.err for answer in answers)


def in_machines(group: Group, machines: int) -> Group:
    """The same processes for another run, as if they were on some machines."""
    here = group.size // machines
    place = replace(group._place, local=group.rank % here, local_size=here)
    return Group(place, group._host, group.names, group._watch)


def in_ranks(size: int, work: Callable[[Ranks], object], directory: Path) -> list[object]:
    """Do work in several processes that have met; the result of each, as torch saves it.

    Args:
        size: how many processes.
        work: gets the process's `Ranks`, and returns tensors and plain values.
        directory: for results.
    """
    directory.mkdir(parents=True, exist_ok=True)
    if size == 1:
        return [work(Ranks())]
    port, processes = free_port(), []
    for rank in range(size):
        process = os.fork()
        if process == 0:
            _work(rank, size, port, work, directory)
        processes.append(process)
    ended = [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in processes]
    assert ended == [0] * size
    return [torch.load(directory / f"{rank}.pt") for rank in range(size)]


def _work(
    rank: int, size: int, port: int, work: Callable[[Ranks], object], directory: Path
) -> NoReturn:
    """Do the work of one process, and end it."""
    given = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in given.items()})
    os.environ["MASTER_ADDR"] = "127.0.0.1"
    status = 99
    try:
        with leaving(), joined("cpu") as ranks:
            torch.save(work(ranks), directory / f"{rank}.pt")
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)
