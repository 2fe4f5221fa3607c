"""Checkpoints: what a run needs to go on exactly where it was.

`checkpoint-<step>/` holds model.safetensors (body and heads), training.pt (optimiser, weighting;
read with weights_only) and progress.json. `best/` holds the best model alone. Both are written
beside and renamed, so that what carries the final name is whole.
"""

import json
import os
import pickle
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_model, save_model
from torch import nn

from tartan.errors import CheckpointError

MODEL, TRAINING, PROGRESS = "model.safetensors", "training.pt", "progress.json"


@dataclass
class Progress:
    """How far a run is.

    Attributes:
        stage: index of the current stage in the schedule.
        step: steps taken since the start of the run.
        first: steps that had been taken when the current stage began.
        best: the best value of the chosen metric so far; None before the first evaluation.
        best_step: the step it was reached at.
        waited: evaluations of this stage since the best value rose.
        seconds: time spent training, evaluations and checkpoints included.
        step_seconds: time spent on steps alone, in seconds.
        weights: the objectives' weights at the end of the last stage that weighed several.
        finished: whether training is over.
    """

    stage: int = 0
    step: int = 0
    first: int = 0
    best: float | None = None
    best_step: int = 0
    waited: int = 0
    seconds: float = 0.0
    step_seconds: float = 0.0
    weights: dict[str, float] = field(default_factory=dict)
    finished: bool = False


class Checkpoints:
    """The checkpoints of one run."""

    def __init__(self, directory: Path, keep: int) -> None:
        self._directory, self._keep = directory, keep

    def save(self, model: nn.Module, training: Mapping[str, Any], progress: Progress) -> None:
        """Write `checkpoint-<step>/`, then remove all but the newest few."""

        def write(directory: Path) -> None:
            save_model(model, str(directory / MODEL))
            torch.save(dict(training), directory / TRAINING)
            (directory / PROGRESS).write_text(json.dumps(asdict(progress)), encoding="utf-8")

        write_whole(self._directory / f"checkpoint-{progress.step}", write)
        for old in self._steps()[: -self._keep]:
            shutil.rmtree(old)

    def save_best(self, model: nn.Module) -> None:
        """Write `best/`."""
        write_whole(self._directory / "best", lambda d: save_model(model, str(d / MODEL)))

    def load_best(self, model: nn.Module) -> None:
        """Give a model the parameters of `best/`."""
        _load_model(model, self._directory / "best" / MODEL)

    def newest(self) -> Path | None:
        """The checkpoint of the highest step, or None."""
        steps = self._steps()
        return steps[-1] if steps else None

    def newest_step(self) -> int:
        """The step of the newest checkpoint; 0 where there is none."""
        newest = self.newest()
        return _step(newest) if newest else 0

    def load(self, checkpoint: Path, model: nn.Module) -> tuple[dict[str, Any], Progress]:
        """Give a model a checkpoint's parameters; the training state and how far it was.

        Raises:
            CheckpointError: a file is missing or damaged.
        """
        try:
            training = torch.load(checkpoint / TRAINING, weights_only=True, map_location="cpu")
            progress = Progress(**json.loads((checkpoint / PROGRESS).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, RuntimeError, pickle.UnpicklingError) as error:
            raise _damaged(checkpoint, error) from error
        _load_model(model, checkpoint / MODEL)
        return training, progress

    def _steps(self) -> list[Path]:
        """Checkpoints in order of their steps."""
        found = self._directory.glob("checkpoint-*")
        whole = [path for path in found if path.name.removeprefix("checkpoint-").isdecimal()]
        return sorted(whole, key=_step)


def _step(checkpoint: Path) -> int:
    """The step in a checkpoint's name."""
    return int(checkpoint.name.removeprefix("checkpoint-"))


def write_whole(directory: Path, write: Callable[[Path], None]) -> None:
    """Write a directory beside its final name, flush it to disk, and rename it into place.

    What had the name before is replaced at the end. A process that dies between the two renames
    leaves neither under that name: training goes on from an older checkpoint to the same state.
    """
    beside = directory.with_name(f".{directory.name}.partial")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    write(beside)
    for path in (*beside.iterdir(), beside):
        _flush(path)
    replaced = directory.with_name(f".{directory.name}.replaced")
    shutil.rmtree(replaced, ignore_errors=True)
    if directory.exists():
        directory.rename(replaced)  # a full directory cannot be renamed over another
    beside.rename(directory)
    _flush(directory.parent)
    shutil.rmtree(replaced, ignore_errors=True)


def _flush(path: Path) -> None:
    """Have the system write a file or directory to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _load_model(model: nn.Module, path: Path) -> None:
    """Load parameters. CheckpointError if the file is missing, damaged, or another model's."""
    try:
        load_model(model, str(path))
    except (OSError, RuntimeError, SafetensorError) as error:
        raise _damaged(path.parent, error) from error


def _damaged(checkpoint: Path, error: Exception) -> CheckpointError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return CheckpointError(
        f"{checkpoint} cannot be read ({reason}): remove it to go on from the one before"
    )
