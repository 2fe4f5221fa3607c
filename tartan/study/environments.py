"""The processes of a study's run: their places, and GPUs that no other run uses."""

import os
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import IO

import torch

from tartan.distributed.place import Place
from tartan.errors import ConfigError, StorageError
from tartan.files import open_own
from tartan.locking import try_lock

VISIBLE = "CUDA_VISIBLE_DEVICES"
"""The variable that says which GPUs a process sees."""


def processes_of(given: int, launcher: Place | None) -> int:
    """Return how many processes each run has: as given, or as many as a launcher started.

    Args:
        given: study.processes.
        launcher: the place of the study's process among those of a launcher; None without one.

    Raises:
        ConfigError: they contradict each other.
    """
    if launcher is None:
        return given
    if launcher.local_size != launcher.size:
        raise ConfigError(
            "study cannot be started on several machines by one launcher: start it by itself, with "
            "hydra/launcher=submitit_slurm and study.processes"
        )
    if given not in (1, launcher.size):
        raise ConfigError(
            f"study.processes={given}, and the launcher started {launcher.size} processes: give "
            "one of the two"
        )
    return launcher.size


@contextmanager
def environments(processes: int) -> Iterator[list[dict[str, str]]]:
    """Through a block, reserve what a run on this machine needs.

    Args:
        processes: of the run.

    Returns:
        The environment variables of each of its processes, as torchrun sets them.
    """
    with reserved(processes) as gpus:
        common = {VISIBLE: ",".join(gpus)} if gpus else {}
        if processes == 1:
            yield [common]
            return
        meeting = {
            "WORLD_SIZE": str(processes),
            "LOCAL_WORLD_SIZE": str(processes),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(_free_port()),
            "TORCHELASTIC_USE_AGENT_STORE": "False",
        }
        yield [
            {**common, **meeting, "RANK": str(rank), "LOCAL_RANK": str(rank)}
            for rank in range(processes)
        ]


@contextmanager
def reserved(processes: int) -> Iterator[list[str]]:
    """Through a block, reserve the GPUs of this machine that the fewest runs use.

    Args:
        processes: of a run, one GPU for each.

    Returns:
        The GPUs by their names in `CUDA_VISIBLE_DEVICES`. Empty if all GPUs are needed.
    """
    gpus = visible()
    if len(gpus) <= processes:
        yield []
        return
    directory = Path(tempfile.gettempdir(), f"tartan-gpus-{os.getuid()}")
    directory.mkdir(mode=0o700, exist_ok=True)
    if directory.lstat().st_uid != os.getuid() or directory.is_symlink():
        raise StorageError(f"{directory} belongs to another user: remove it, or set TMPDIR")
    taken: list[str] = []
    with ExitStack() as held:
        for others in count():  # runs that use the same GPU already
            for gpu in gpus:
                path = directory / f"{gpu}-{others}".replace("/", "-")
                if gpu not in taken and _locked(held.enter_context(os.fdopen(open_own(path), "a"))):
                    taken.append(gpu)
                if len(taken) == processes:
                    yield taken
                    return


def _locked(file: IO[str]) -> bool:
    """Lock an open file; return False if another one has the lock."""
    try:
        try_lock(file)
    except BlockingIOError:
        return False
    return True


def visible(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Return the GPUs that this process sees, as `CUDA_VISIBLE_DEVICES` names them."""
    given = environment.get(VISIBLE)
    if given is None:
        return [str(number) for number in range(torch.cuda.device_count())]
    return [name.strip() for name in given.split(",") if name.strip()]


def _free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
