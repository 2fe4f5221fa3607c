"""Checkpoints: everything that a run needs to resume exactly where it was.

`checkpoint-<step>/` holds model.safetensors (what trains of body and heads), training.pt
(optimiser, weighting; read with weights_only), progress.json, identity.json (what the run depends
on), best.safetensors (the best model so far) and manifest.json, which has the hash of each. `best/`
holds the best model alone. history.jsonl holds the lines of metrics.jsonl; each checkpoint owns a
beginning of it. Where a run resumes, `best/`, history.jsonl and metrics.jsonl become what they were
at the checkpoint.
"""

import json
import shutil
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn

from tartan.distributed.ranks import Ranks
from tartan.distributed.sharded import whole
from tartan.errors import CheckpointError, first_line
from tartan.files import read_text, recover, write_whole, writing
from tartan.train.history import HISTORY, History, Mark
from tartan.train.manifest import damage, seal
from tartan.train.progress import Progress
from tartan.train.sharded_checkpoint import load_complete, load_parts, required, save_part
from tartan.train.weights_file import load_trained, save_trained

MODEL, TRAINING, PROGRESS = "model.safetensors", "training.pt", "progress.json"
IDENTITY, BEST = "identity.json", "best.safetensors"


class Checkpoints:
    """The checkpoints of one run.

    Attributes:
        identity: what each checkpoint says of the run it belongs to, as JSON holds it.
    """

    def __init__(self, directory: Path, keep: int, ranks: Ranks | None = None) -> None:
        """Keep the newest checkpoints in a directory; rank 0 of several processes writes them."""
        self.identity: Mapping[str, Any] = {}
        self._directory, self._keep = directory, keep
        self._best, self._ranks = directory / "best", ranks or Ranks()

    def save(self, model: nn.Module, training: Mapping[str, Any], progress: Progress) -> None:
        """Write `checkpoint-<step>/`, then remove all but the newest few.

        Raises:
            StorageError: it cannot be written.
            CheckpointError: `best/` is damaged.
        """
        if not self._ranks.first:
            self._save_part(model, training)
            return
        mark = progress.history.save(self._directory / HISTORY)

        def write(directory: Path) -> None:
            if self._ranks.part is None:
                save_trained(model, directory / MODEL)
                with (directory / TRAINING).open("wb") as file:
                    torch.save(dict(training), file)
            else:
                self._save_part(model, training, directory)
            _write_json(directory / PROGRESS, progress.plain() | {"history": vars(mark)})
            _write_json(directory / IDENTITY, self.identity)
            if progress.best is not None:
                self._check_best()  # a damaged file must not be sealed as a good one
                shutil.copyfile(self._best / MODEL, directory / BEST)
            seal(directory)

        with self._ranks.saving():
            write_whole(self._directory / f"checkpoint-{progress.step}", write)
            self._remove_old()

    def _save_part(
        self, model: nn.Module, training: Mapping[str, Any], directory: Path | None = None
    ) -> None:
        """Write this process's part of a checkpoint, and wait for the others, if it is divided.

        Args:
            model: body and heads.
            training: the stage's state.
            directory: where to; rank 0 sends it to the others.
        """
        if self._ranks.part is None:
            return
        place = self._ranks.by_first(lambda: directory)
        assert place is not None
        if self._ranks.writes:
            with writing(place):
                save_part(place, *self._ranks.part, model, training)
        self._ranks.wait()

    def save_best(self, model: nn.Module) -> None:
        """Write `best/`."""
        with whole(model, here=self._ranks.first):
            if self._ranks.first:
                self._save_best(model)

    def _save_best(self, model: nn.Module) -> None:
        """Write `best/` in rank 0."""

        def write(directory: Path) -> None:
            save_trained(model, directory / MODEL)
            seal(directory)

        write_whole(self._best, write)

    def load_best(self, model: nn.Module) -> None:
        """Load the parameters of `best/` into a model. CheckpointError if `best/` is damaged."""
        self._ranks.wait()  # until it has been written
        self._check_best()
        self._load_model(model, self._best / MODEL)

    def newest(self) -> tuple[Path | None, dict[Path, str]]:
        """Return the newest usable checkpoint, and what is wrong with those after it.

        None where there is no checkpoint.

        Raises:
            CheckpointError: there are checkpoints, and all are damaged.
        """
        recover(self._directory)
        damaged: dict[Path, str] = {}
        for checkpoint in reversed(_by_step(self._directory)):
            wrong = self._damage(checkpoint)
            if wrong is None:
                return checkpoint, damaged
            damaged[checkpoint] = wrong
        if damaged:
            reasons = ", ".join(f"{path.name}: {wrong}" for path, wrong in damaged.items())
            raise CheckpointError(
                f"No usable checkpoint in {self._directory} ({reasons}). Restore one, or choose "
                "another run_dir to start over"
            )
        return None, {}

    def rewind(self, checkpoint: Path | None, damaged: Iterable[Path]) -> None:
        """Make the directory what it was at a checkpoint; damaged checkpoints are renamed."""
        for path in damaged:
            aside = path.with_name(f"{path.name}.damaged")
            shutil.rmtree(aside, ignore_errors=True)
            path.rename(aside)
        if checkpoint and (checkpoint / BEST).exists():
            write_whole(self._best, partial(_copy_best, checkpoint))
        else:
            shutil.rmtree(self._best, ignore_errors=True)
        self._remove_old()  # a run that was killed while it did so may have saved its last one

    def progress(self, checkpoint: Path) -> Progress:
        """Return how far a run was at a checkpoint. CheckpointError if that cannot be read."""
        try:
            content = json.loads(read_text(checkpoint / PROGRESS))
            history = History.load(self._directory / HISTORY, Mark(**content.pop("history")))
            return Progress(**content, history=history)
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise misfit(checkpoint, error) from error

    def load(self, checkpoint: Path, model: nn.Module) -> dict[str, Any]:
        """Load a checkpoint's parameters into a model, and return the training state.

        Raises:
            CheckpointError: it is a checkpoint of another model, or cannot be read.
        """
        if required(checkpoint):
            rank, size = self._ranks.part or (0, 1)
            try:
                return load_parts(checkpoint, rank, size, model)
            except (
                OSError, RuntimeError, ValueError, LookupError, TypeError, SafetensorError,
            ) as error:  # fmt: skip
                raise misfit(checkpoint, error) from error
        try:
            training = torch.load(checkpoint / TRAINING, weights_only=True, map_location="cpu")
        except UnpicklingError as error:
            raise CheckpointError(
                f"{checkpoint / TRAINING} holds objects other than tensors and plain values. "
                "It was not loaded, because it could run code"
            ) from error
        except (OSError, RuntimeError, EOFError, ValueError) as error:
            raise misfit(checkpoint, error) from error
        self._load_model(model, checkpoint / MODEL)
        return dict(training)

    def _load_model(self, model: nn.Module, path: Path) -> None:
        """Load complete parameters. CheckpointError if they are another model's."""
        load = load_trained if self._ranks.part is None else load_complete
        try:
            load(model, path)
        except (OSError, RuntimeError, SafetensorError) as error:
            raise misfit(path.parent, error) from error

    def _remove_old(self) -> None:
        """Remove all checkpoints but the newest few."""
        for old in _by_step(self._directory)[: -self._keep]:
            shutil.rmtree(old)

    def _damage(self, checkpoint: Path) -> str | None:
        """Return in a few words what is wrong with a checkpoint; None if it is usable."""
        files = required(checkpoint) or (MODEL, TRAINING)
        if wrong := damage(checkpoint, (*files, PROGRESS)):
            return wrong
        try:
            content = json.loads(read_text(checkpoint / PROGRESS))
            if mark := content.get("history"):
                History.load(self._directory / HISTORY, Mark(**mark))
        except FileNotFoundError as error:
            return f"{Path(error.filename).name} is missing"
        except (OSError, ValueError, TypeError, AttributeError) as error:
            return str(error)
        return None

    def _check_best(self) -> None:
        """CheckpointError if `best/` is damaged."""
        if wrong := damage(self._best, (MODEL,)):
            raise CheckpointError(
                f"{self._best}: {wrong}. Resume from the newest checkpoint, which has a copy"
            )


def sealed_identity(checkpoint: Path) -> Mapping[str, Any] | None:
    """Return what a checkpoint says of its run; None where it says nothing.

    Raises:
        CheckpointError: the file cannot be read.
    """
    path = checkpoint / IDENTITY
    if not path.exists():
        return None
    try:
        found: Mapping[str, Any] = json.loads(read_text(path))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}): restore it") from error
    return found


def _by_step(directory: Path) -> list[Path]:
    """Return the checkpoints of a directory in order of their steps."""
    found = directory.glob("checkpoint-*")
    named = [path for path in found if path.name.removeprefix("checkpoint-").isdecimal()]
    return sorted(named, key=lambda path: int(path.name.removeprefix("checkpoint-")))


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file."""
    path.write_text(json.dumps(content, allow_nan=False), encoding="utf-8")


def _copy_best(checkpoint: Path, best: Path) -> None:
    """Fill `best/` from a checkpoint."""
    shutil.copyfile(checkpoint / BEST, best / MODEL)
    seal(best)


def misfit(checkpoint: Path, error: Exception) -> CheckpointError:
    """Return the error for a checkpoint that is undamaged, but of something else."""
    return CheckpointError(
        f"{checkpoint} is of another model or schedule ({first_line(error)}). Give its "
        "configuration to resume it, or choose another run_dir"
    )
