"""The arms of a study and their runs: where each is, and whether what is there is that run."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from hydra import compose
from omegaconf import DictConfig, OmegaConf

from tartan.body.onnx import DIRECTORY
from tartan.config.composer import composing
from tartan.config.parse import resolved
from tartan.config.values import written
from tartan.errors import CheckpointError, StorageError
from tartan.experiment.identity import (
    CONTENT,
    Part,
    deciding,
    dependent,
    describe,
    differing_keys,
    differing_parts,
)
from tartan.experiment.lock import LOCK
from tartan.experiment.resume import finished_run, read_configuration
from tartan.experiment.summary import read_summary
from tartan.files import remove, write_text
from tartan.report.record import CONFIG, MODEL, REPORT, SUMMARY, read_config

FAILED = ".failed"
"""Ending of the file beside a run's directory that says why the run failed."""


@dataclass(frozen=True)
class Arm:
    """One arm.

    Attributes:
        name: its name, and its directory's.
        label: its name in tables.
        own: the overrides that define it.
        overrides: all of them, those of every arm first, as Hydra takes them.
    """

    name: str
    label: str
    own: tuple[str, ...]
    overrides: tuple[str, ...]


@dataclass(frozen=True)
class Job:
    """One run of a study.

    Attributes:
        arm: its arm.
        seed: its seed.
        study: the study's directory, absolute.
        searchpath: overrides of Hydra's search path, where it has another directory.
    """

    arm: Arm
    seed: int
    study: Path
    searchpath: Sequence[str] = ()

    @property
    def place(self) -> str:
        """Return its directory, relative to the study's."""
        return f"{self.arm.name}/seed{self.seed}"

    @property
    def directory(self) -> Path:
        """Return its directory."""
        return self.study / self.place

    @property
    def trained(self) -> bool:
        """Return whether its scores are there, and no process is writing what follows them."""
        return (self.directory / SUMMARY).is_file() and not (self.directory / LOCK).exists()

    @property
    def finished(self) -> bool:
        """Return whether it is complete: trained, and its page and export are there."""
        return self.trained and self._has_page() and self._is_exported()

    @property
    def failure(self) -> str | None:
        """Return why it failed when it was last started; None if it did not, or is finished."""
        with suppress(OSError, UnicodeDecodeError):
            reason = self.directory.with_suffix(FAILED).read_text(encoding="utf-8").strip()
            return None if self.finished else reason
        return None

    def _is_exported(self) -> bool:
        """Return whether its model is there in the wanted format; one that was removed may be."""
        model = self.directory / MODEL
        return not model.exists() or (model / DIRECTORY).exists() or self._format != "onnx"

    @cached_property
    def _format(self) -> str | None:
        """Return the further format that the study's command wants, not an earlier one's."""
        with composing():
            found: str | None = self.compose().export
        return found

    def _has_page(self) -> bool:
        """Return whether its page is there, or not wanted."""
        if (self.directory / REPORT).exists():
            return True
        try:
            return not read_config(self.directory / CONFIG).get("report", True)
        except CheckpointError:  # the summary holds all of a study's figures
            return True

    @property
    def overrides(self) -> list[str]:
        """Return the overrides with which `run` runs the same."""
        return [*self.arm.overrides, f"seed={self.seed}", f"run_dir={written(str(self.directory))}"]

    def compose(self) -> DictConfig:
        """Return its configuration; to be called inside `composing`."""
        return compose("config", overrides=[*self.searchpath, *self.overrides])

    def check(self, contents: Mapping[str, Part], seed: int) -> None:
        """Make sure that a run in its directory is this one.

        Args:
            contents: hashes of the data, tokenizer, model and plugins that its arm reads now.
            seed: the one that they were computed with; if data or a model depends on the seed,
                their hashes say nothing of other seeds.

        Raises:
            CheckpointError: the run there has another configuration, or it is finished and read
                other data, another tokenizer, model or plugin.
        """
        summary = read_summary(self.directory)
        saved = finished_run(self.directory, summary) if summary else None
        before = saved.configuration if saved else read_configuration(self.directory)
        if before is None:
            return
        composed = self.compose()
        keys = sorted(differing_keys(before, dependent(resolved(composed))))
        if keys and (saved or not composed.resume_changed):
            raise CheckpointError(
                f"{self.directory} has a run of another configuration ({', '.join(keys)} differ). "
                "Give the same one to resume the study, choose another study.dir, or remove that "
                "directory"
            )
        if saved and saved.identity:
            seeded = self._seeded(composed, seed)
            differing = {
                part: kept
                for part, keys in differing_parts(saved.identity.parts, contents, CONTENT).items()
                if (kept := [key for key in keys if seeded.isdisjoint(deciding(part, key))])
            }
            if differing:
                raise CheckpointError(
                    f"{self.directory} is complete, and {', '.join(describe(differing))} changed "
                    "since then. Restore what was there, choose another study.dir, or remove that "
                    "directory to run it again"
                )

    def _seeded(self, composed: DictConfig, seed: int) -> set[str]:
        """Return the sections of its configuration that another seed's run has otherwise."""
        other = OmegaConf.merge(composed, {"seed": seed})
        assert isinstance(other, DictConfig)
        mine, theirs = resolved(composed), resolved(other)
        return {name for name, section in mine.items() if section != theirs[name]}


def record_failure(directory: Path, reason: str | None) -> None:
    """Write beside a run's directory why it failed, for `Job.failure`; None if it did not.

    A study that is stopped, or whose launcher fails, has no answers of the runs before.
    """
    path = directory.with_suffix(FAILED)
    with suppress(OSError, StorageError):
        if reason is None:
            remove(path)
        else:
            write_text(path, f"{reason}\n")
