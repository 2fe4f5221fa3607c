"""A sweep's jobs that have ended: written by the process of a job, read when the sweep ends."""

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from socket import gethostname

from tartan.files import writing
from tartan.report.record import read_json, write_json


@dataclass(frozen=True)
class Ended:
    """A job that has ended.

    Attributes:
        overrides: the job's, as Hydra took them.
        place: its directory, relative to the sweep's.
        error: what is wrong, in one line; None if it finished.
    """

    overrides: Sequence[str]
    place: str
    error: str | None


def folder() -> str:
    """Return the name of the records' directory in the sweep's, for a sweep of this process.

    A job may be a process elsewhere, and sweeps may share their directory.
    """
    return f".jobs-{gethostname()}-{os.getpid()}"


def record(records: Path, number: int, ended: Ended) -> None:
    """Record a job.

    Args:
        records: the records' directory.
        number: the job's, from 0.
        ended: the job.

    Raises:
        StorageError: it cannot be written.
    """
    with writing(records):
        records.mkdir(parents=True, exist_ok=True)
    write_json(records / f"{number}.json", {**vars(ended), "overrides": list(ended.overrides)})


def read(records: Path) -> list[Ended]:
    """Return the jobs recorded, in their order; of those with one directory, the last."""
    paths = sorted(records.glob("*.json"), key=lambda path: int(path.stem))
    jobs = [Ended(**found) for path in paths if (found := read_json(path))]
    return list({job.place: job for job in jobs}.values())


def forget(records: Path) -> None:
    """Remove what was recorded."""
    with suppress(OSError, ValueError):  # a name that no file can have is refused later
        shutil.rmtree(records)
