"""Failed jobs of a sweep: written by the process that runs a job, read when the sweep ends."""

import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tartan.files import writing
from tartan.report.record import read_json, write_json

FOLDER = ".failed"
"""Their directory in the sweep's, while the sweep runs: a job may be a process elsewhere."""


@dataclass(frozen=True)
class Failure:
    """A failed job.

    Attributes:
        overrides: the job's, as Hydra took them.
        place: its directory, relative to the sweep's.
        error: what is wrong, in one line.
    """

    overrides: Sequence[str]
    place: str
    error: str


def record(sweep: Path, number: int, failure: Failure) -> None:
    """Record a failure.

    Args:
        sweep: the sweep's directory.
        number: the job's, from 0.
        failure: the failure.

    Raises:
        StorageError: it cannot be written.
    """
    folder = sweep / FOLDER
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / f"{number}.json", {**vars(failure), "overrides": list(failure.overrides)})


def read(sweep: Path) -> list[Failure]:
    """Return the failures recorded in a sweep's directory, in the order of its jobs."""
    paths = sorted((sweep / FOLDER).glob("*.json"), key=lambda path: int(path.stem))
    return [Failure(**found) for path in paths if (found := read_json(path))]


def forget(sweep: Path) -> None:
    """Remove what was recorded in a sweep's directory."""
    with suppress(OSError, ValueError):  # a name that no file can have is refused later
        shutil.rmtree(sweep / FOLDER)
