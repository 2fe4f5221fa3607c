"""Checkpoints: what a run needs to go on exactly where it was.

`checkpoint-<step>/` holds model.safetensors (body and heads), training.pt (optimiser, weighting;
read with weights_only), progress.json, and best.safetensors, the best model so far; manifest.json
has the hash of each. `best/` holds the best model alone. Each checkpoint stands for itself: going
on from it, `best/` becomes what it was then.
"""

import json
import shutil
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_model, save_model
from torch import nn

from tartan.errors import CheckpointError
from tartan.files import recover, write_whole
from tartan.train.manifest import damage, seal
from tartan.train.progress import Progress

MODEL, TRAINING, PROGRESS = "model.safetensors", "training.pt", "progress.json"
BEST = "best.safetensors"


class Checkpoints:
    """The checkpoints of one run."""

    def __init__(self, directory: Path, keep: int) -> None:
        self._directory, self._keep = directory, keep
        self._best = directory / "best"

    def save(self, model: nn.Module, training: Mapping[str, Any], progress: Progress) -> None:
        """Write `checkpoint-<step>/`, then remove all but the newest few.

        Raises:
            StorageError: it cannot be written.
            CheckpointError: `best/` is damaged.
        """

        def write(directory: Path) -> None:
            save_model(model, str(directory / MODEL))
            with (directory / TRAINING).open("wb") as file:
                torch.save(dict(training), file)
            text = json.dumps(vars(progress), allow_nan=False)
            (directory / PROGRESS).write_text(text, encoding="utf-8")
            if progress.best is not None:
                self._check_best()  # what is copied is sealed as good
                shutil.copyfile(self._best / MODEL, directory / BEST)
            seal(directory)

        write_whole(self._directory / f"checkpoint-{progress.step}", write)
        for old in self._steps()[: -self._keep]:
            shutil.rmtree(old)

    def save_best(self, model: nn.Module) -> None:
        """Write `best/`."""

        def write(directory: Path) -> None:
            save_model(model, str(directory / MODEL))
            seal(directory)

        write_whole(self._best, write)

    def load_best(self, model: nn.Module) -> None:
        """Give a model the parameters of `best/`. CheckpointError if it is damaged."""
        self._check_best()
        _load_model(model, self._best / MODEL)

    def newest(self) -> tuple[Path | None, dict[Path, str]]:
        """The newest checkpoint that is as it was written, and what is wrong with newer ones.

        None where there is no checkpoint. CheckpointError where all there are have been damaged.
        """
        recover(self._directory)
        damaged: dict[Path, str] = {}
        for checkpoint in reversed(self._steps()):
            wrong = damage(checkpoint)
            if wrong is None:
                return checkpoint, damaged
            damaged[checkpoint] = wrong
        if damaged:
            reasons = ", ".join(f"{path.name}: {wrong}" for path, wrong in damaged.items())
            raise CheckpointError(
                f"no checkpoint in {self._directory} can be gone on from ({reasons}): put back "
                "what was there, or choose another run_dir to begin anew"
            )
        return None, {}

    def rewind(self, checkpoint: Path | None, damaged: Iterable[Path]) -> None:
        """Make the directory what it was at a checkpoint; damaged ones get another name."""
        for path in damaged:
            aside = path.with_name(f"{path.name}.damaged")
            shutil.rmtree(aside, ignore_errors=True)
            path.rename(aside)
        if checkpoint and (checkpoint / BEST).exists():
            write_whole(self._best, partial(_copy_best, checkpoint))
        else:
            shutil.rmtree(self._best, ignore_errors=True)

    def progress(self, checkpoint: Path) -> Progress:
        """How far a run was at a checkpoint. CheckpointError if it cannot be read."""
        try:
            content = json.loads((checkpoint / PROGRESS).read_text(encoding="utf-8"))
            lists = {name: tuple(content[name]) for name in ("records", "times")}
            return Progress(**content | lists)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise misfit(checkpoint, error) from error

    def load(self, checkpoint: Path, model: nn.Module) -> dict[str, Any]:
        """Give a model a checkpoint's parameters, and `best/` its best ones; the training state.

        Raises:
            CheckpointError: it is a checkpoint of something else.
        """
        try:
            training = torch.load(checkpoint / TRAINING, weights_only=True, map_location="cpu")
        except (OSError, RuntimeError) as error:
            raise misfit(checkpoint, error) from error
        _load_model(model, checkpoint / MODEL)
        return dict(training)

    def _check_best(self) -> None:
        """CheckpointError if `best/` is damaged."""
        if wrong := damage(self._best):
            raise CheckpointError(
                f"{self._best}: {wrong}: go on from the newest checkpoint, which has a copy"
            )

    def _steps(self) -> list[Path]:
        """Checkpoints in order of their steps."""
        found = self._directory.glob("checkpoint-*")
        whole = [path for path in found if path.name.removeprefix("checkpoint-").isdecimal()]
        return sorted(whole, key=lambda path: int(path.name.removeprefix("checkpoint-")))


def _copy_best(checkpoint: Path, best: Path) -> None:
    """Fill `best/` from a checkpoint."""
    shutil.copyfile(checkpoint / BEST, best / MODEL)
    seal(best)


def _load_model(model: nn.Module, path: Path) -> None:
    """Load parameters. CheckpointError if they are another model's."""
    try:
        load_model(model, str(path))
    except (OSError, RuntimeError, SafetensorError) as error:
        raise misfit(path.parent, error) from error


def misfit(checkpoint: Path, error: Exception) -> CheckpointError:
    """What to say of a checkpoint that is whole, and of something else than is being trained."""
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return CheckpointError(
        f"{checkpoint} is of another model or schedule ({reason}): give its configuration to go "
        "on with it, or choose another run_dir"
    )
