"""The files a run leaves: metrics.jsonl, summary.json and .hydra/."""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from omegaconf import DictConfig, OmegaConf

from tartan.errors import CheckpointError
from tartan.files import write_text, writing

PREDICTIONS = "predictions-dev.jsonl"
"""What the best model predicts of dev, a row a line."""
REPORT = "report.html"
"""The page of a run."""
METRICS, SUMMARY, CONFIG = "metrics.jsonl", "summary.json", ".hydra/config.yaml"
ORIGIN = "checkpoints/origin.json"
"""What a run began with: its data's hashes, its device, what else its figures depend on."""
CHANGES = "checkpoints/changes.json"
"""What was changed in a run that was told to go on all the same."""


Record = Mapping[str, float | int | str]
"""One line of metrics.jsonl."""


class MetricsFile:
    """metrics.jsonl: one JSON object a line, each written at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: TextIO | None = None

    def begin(self, records: Iterable[Record]) -> None:
        """Go on after some records: what an interrupted run wrote beyond them is dropped."""
        write_text(self._path, "".join(map(_line, records)))
        self._file = self._path.open("a", encoding="utf-8", buffering=1)

    def write(self, record: Record) -> None:
        """Write one line. StorageError where it cannot be written."""
        assert self._file, "begin first"
        with writing(self._path):
            self._file.write(_line(record))

    def close(self) -> None:
        """Close the file."""
        if self._file:
            with suppress(OSError):  # a line that could not be written has been told of
                self._file.close()


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file, and its directory if it has to be."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> dict[str, Any] | None:
    """What a JSON file holds; None where there is none. CheckpointError if it is damaged."""
    if not path.exists():
        return None
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}): choose another run_dir") from error
    return content


def write_lines(path: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    """Write a file of JSON objects, one a line, whole."""
    write_text(path, "".join(map(_line, lines)))


def write_config(directory: Path, files: Mapping[str, DictConfig | list[str]]) -> None:
    """Write .hydra/: the composed configuration, Hydra's own, and the overrides, by file name."""
    with writing(directory):
        (directory / CONFIG).parent.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        write_text(directory / ".hydra" / name, OmegaConf.to_yaml(OmegaConf.create(content)))


def _line(record: Mapping[str, Any]) -> str:
    return json.dumps(record, allow_nan=False) + "\n"
