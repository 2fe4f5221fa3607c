"""The arms of a study and their runs: where each is, and whether what is there is that run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra import compose
from omegaconf import DictConfig, OmegaConf

from tartan.config.parse import resolved
from tartan.config.values import written
from tartan.errors import CheckpointError
from tartan.experiment.identity import (
    CONTENT,
    Part,
    dependent,
    describe,
    differing_keys,
    differing_parts,
)
from tartan.experiment.lock import LOCK
from tartan.experiment.resume import finished_run, read_configuration
from tartan.experiment.summary import read_summary
from tartan.report.record import CONFIG, REPORT, SUMMARY, read_config
from tartan.study.notes import SEEDED


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
    def finished(self) -> bool:
        """Return whether it is complete: its lock is given back, its page written if it has one."""
        summed_up = (self.directory / SUMMARY).is_file()
        return summed_up and not (self.directory / LOCK).exists() and self._has_page()

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
            seeded = {
                part
                for section, content in SEEDED.items()
                if self.seed != seed and "${seed}" in OmegaConf.to_yaml(composed[section])
                for part in content
            }
            parts = [part for part in CONTENT if part not in seeded]
            differing = differing_parts(saved.identity.parts, contents, parts)
            if differing:
                raise CheckpointError(
                    f"{self.directory} is complete, and {', '.join(describe(differing))} changed "
                    "since then. Restore what was there, choose another study.dir, or remove that "
                    "directory to run it again"
                )
