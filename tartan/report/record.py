"""The files that a run writes: metrics.jsonl, summary.json and .hydra/."""

import errno
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from omegaconf import DictConfig, OmegaConf

from tartan.errors import CheckpointError
from tartan.files import open_own, read_text, write_text, writing

PREDICTIONS = "predictions-dev.jsonl"
"""The best model's predictions on dev, one row a line."""
REPORT = "report.html"
"""The page of a run."""
SPLITS = "splits.json"
"""Which rows of a file are dev and test, where there were no files of them."""
MODEL = "model"
"""The directory of the exported model."""
METRICS, SUMMARY, CONFIG = "metrics.jsonl", "summary.json", ".hydra/config.yaml"
ORIGIN = "checkpoints/origin.json"
"""The identifier of a run, which its checkpoints repeat."""

MetricsLine = Mapping[str, float | int | str]
"""One line of metrics.jsonl."""


class MetricsFile:
    """metrics.jsonl: one JSON object a line, each written at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: TextIO | None = None

    def begin(self, records: Iterable[MetricsLine]) -> None:
        """Keep some records; lines that an interrupted run wrote after them are dropped."""
        write_text(self._path, "".join(map(_line, records)))
        with writing(self._path):
            self._file = os.fdopen(open_own(self._path), "a", encoding="utf-8", buffering=1)

    def write(self, record: MetricsLine) -> None:
        """Write one line. StorageError if it cannot be written, or the file was removed."""
        assert self._file, "begin first"
        with writing(self._path):
            if not os.path.samestat(os.fstat(self._file.fileno()), self._path.stat()):
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            self._file.write(_line(record))

    def close(self) -> None:
        """Close the file."""
        if self._file:
            with suppress(OSError):  # a line that could not be written has been reported
                self._file.close()


class NoMetrics(MetricsFile):
    """metrics.jsonl of a process that does not write it: another one of the run does."""

    def __init__(self) -> None:
        super().__init__(Path(os.devnull))

    def begin(self, records: Iterable[MetricsLine]) -> None:
        """Write nothing."""

    def write(self, record: MetricsLine) -> None:
        """Write nothing."""


def make_checkpoints(directory: Path) -> None:
    """Make a run's directory for checkpoints, in one that exists."""
    with writing(directory):
        (directory / ORIGIN).parent.mkdir(exist_ok=True)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file atomically, into a directory that exists."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the object in a JSON file; None where there is no file.

    Raises:
        CheckpointError: it is damaged, or holds anything else.
    """
    try:
        content = json.loads(read_text(path))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise unreadable(path, error) from error
    if not isinstance(content, dict):
        raise unreadable(path, "not a JSON object")
    return content


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """CheckpointError that names a file, where the block does not find in it what belongs there."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        missing = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise unreadable(path, missing) from error


def unreadable(path: Path, reason: object) -> CheckpointError:
    """Return the error for a file of a run that was damaged or edited."""
    return CheckpointError(
        f"{path} cannot be read ({reason}): restore it, or choose another run_dir"
    )


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a file of JSON objects; none where there is no file.

    Raises:
        CheckpointError: it is damaged, or a line holds anything else.
    """
    try:
        text = read_text(path)
        lines = [json.loads(line) for line in text.splitlines()]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, RecursionError) as error:
        raise unreadable(path, error) from error
    if not all(isinstance(line, dict) for line in lines):
        raise unreadable(path, "a line is not a JSON object")
    return lines


def write_lines(path: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    """Write a file of JSON objects, one a line, atomically."""
    write_text(path, "".join(map(_line, lines)))


def write_config(directory: Path, files: Mapping[str, DictConfig | list[str]]) -> None:
    """Write .hydra/: the composed configuration, Hydra's own, and the overrides, by file name."""
    with writing(directory):
        (directory / CONFIG).parent.mkdir(exist_ok=True)
    for name, content in files.items():
        write_text(directory / ".hydra" / name, OmegaConf.to_yaml(OmegaConf.create(content)))


def read_config(path: Path) -> DictConfig:
    """Return the configuration in a YAML file. CheckpointError if it cannot be read."""
    try:
        content = OmegaConf.create(read_text(path))
    # YAML's errors, OmegaConf's, those of Python for values that YAML allows: nothing else is done.
    except Exception as error:
        raise unreadable(path, " ".join(str(error).split())) from error
    if not isinstance(content, DictConfig):
        raise unreadable(path, "not a map of options")
    return content


def _line(record: Mapping[str, Any]) -> str:
    return json.dumps(record, allow_nan=False) + "\n"
