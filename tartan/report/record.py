"""The files a run leaves: metrics.jsonl, summary.json and .hydra/."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from omegaconf import DictConfig, OmegaConf

from tartan.errors import CheckpointError

METRICS, SUMMARY, CONFIG = "metrics.jsonl", "summary.json", ".hydra/config.yaml"
DATA = "checkpoints/data.json"
"""The hashes of the data that a run began with."""


class MetricsFile:
    """metrics.jsonl: one JSON object a line, each written at once."""

    def __init__(self, path: Path, step: int) -> None:
        """Go on after a step: what an interrupted run wrote beyond its checkpoint is dropped."""
        try:
            kept = [line for line in _whole_lines(path) if json.loads(line)["step"] <= step]
        except (ValueError, KeyError) as error:
            raise CheckpointError(f"{path} is damaged ({error}): choose another run_dir") from error
        write_text(path, "".join(kept))
        self._file = path.open("a", encoding="utf-8", buffering=1)

    def write(self, record: Mapping[str, float | int | str]) -> None:
        """Write one line."""
        self._file.write(json.dumps(record, allow_nan=False) + "\n")

    def __enter__(self) -> Self:
        """The file, open."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close the file."""
        self._file.close()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The records of a metrics.jsonl, in order."""
    return [json.loads(line) for line in _whole_lines(path)]


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file, and its directory if it has to be."""
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


def write_config(directory: Path, files: Mapping[str, DictConfig | list[str]]) -> None:
    """Write .hydra/: the composed configuration, Hydra's own, and the overrides, by file name."""
    (directory / CONFIG).parent.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        write_text(directory / ".hydra" / name, OmegaConf.to_yaml(OmegaConf.create(content)))


def write_text(path: Path, text: str) -> None:
    """Write a file beside its name and rename it, so that it is never half there."""
    beside = path.with_name(f".{path.name}.partial")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)


def _whole_lines(path: Path) -> list[str]:
    """A file's lines without an unfinished last one; none where there is no file."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [line for line in lines if line.endswith("\n")]
