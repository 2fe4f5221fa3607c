"""Plan a study: from its overrides to one ordinary run for each arm and seed."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from hydra import compose, initialize_config_module
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from tartan.config.overrides import accept
from tartan.config.parse import resolved
from tartan.config.typed_text import PATHS
from tartan.errors import CheckpointError, ConfigError, NoSuchOptionError
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
from tartan.study.options import StudyOptions, parse

OWN = {
    "run_dir": "set study.dir=... instead",
    "seed": "set study.seeds=... instead",
    "resume": "a study resumes in its study.dir",
}
"""Options that a study sets itself, and what to do instead."""


@dataclass(frozen=True)
class Typed:
    """A study's command line.

    Attributes:
        study: overrides of the study itself.
        hydra: of Hydra's own settings: the launcher.
        runs: of every arm.
        search: an additional directory of configurations.
    """

    study: Sequence[str]
    hydra: Sequence[str]
    runs: Sequence[str]
    search: str | None = None

    @classmethod
    def split(cls, overrides: Iterable[str], search: str | None = None) -> "Typed":
        """Sort overrides into study, Hydra and runs. ConfigError if one is invalid or refused."""
        parts: dict[str, list[str]] = {"study": [], "hydra": [], "runs": []}
        for text in overrides:
            key = _key(text)
            if key in OWN:
                raise ConfigError(f"'{text}': {OWN[key]}")
            head = re.split(r"[./]", key)[0]
            parts[head if head in ("study", "hydra") else "runs"].append(text)
        return cls(**parts, search=search)

    @cached_property
    def searchpath(self) -> list[str]:
        """Return the additional directory as an override of Hydra's search path."""
        return [] if self.search is None else [f"hydra.searchpath=[file://{self.search}]"]


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
        search: an additional directory of configurations.
    """

    arm: Arm
    seed: int
    study: Path
    search: Sequence[str] = ()

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
        return [*self.arm.overrides, f"seed={self.seed}", f"run_dir={quoted(str(self.directory))}"]

    def compose(self) -> DictConfig:
        """Return its configuration; to be called inside `composing`."""
        return compose("config", overrides=[*self.search, *self.overrides])

    def check(self, contents: Mapping[str, Part], seed: int) -> None:
        """Make sure that a run in its directory is this one.

        Args:
            contents: hashes of the data, tokenizer, model and plugins that its arm reads now.
            seed: the one that they were computed with; if data depends on the seed, those of data
                and tokenizer say nothing of other seeds.

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
            seeded = self.seed != seed and "${seed}" in OmegaConf.to_yaml(composed.data)
            parts = [part for part in CONTENT if not (seeded and part in SEEDED)]
            differing = differing_parts(saved.identity.parts, contents, parts)
            if differing:
                raise CheckpointError(
                    f"{self.directory} is complete, and {', '.join(describe(differing))} changed "
                    "since then. Restore what was there, choose another study.dir, or remove that "
                    "directory to run it again"
                )


def composing() -> "initialize_config_module":
    """Return the context in which configurations are composed."""
    return initialize_config_module("tartan.configs", job_name="tartan", version_base="1.3")


def read_options(typed: Typed) -> StudyOptions:
    """Return the study's own options. ConfigError if they are not valid."""
    accepted = accept(typed.study, "study", typed.search)
    with composing():
        return parse(compose("study", overrides=[*typed.searchpath, *accepted]))


def with_common(typed: Typed, options: StudyOptions) -> Typed:
    """Return the command line with the study's own overrides of every arm, where it has none."""
    keys = {_key(text) for text in typed.runs}
    return replace(
        typed, runs=[*(text for text in options.common if _key(text) not in keys), *typed.runs]
    )


def arms(options: StudyOptions, typed: Typed) -> list[Arm]:
    """Return the chosen arms; an override of all arms applies to those that have its option.

    Raises:
        ConfigError: an override is not valid, or applies to no arm.
    """
    names = options.arms or list(options.overrides)
    found: list[Arm] = []
    used: set[str] = set()
    missing: dict[str, NoSuchOptionError] = {}
    for name in names:
        own = tuple(options.overrides[name])
        _check_own(name, own)
        accepted, kept, refused = _accept(name, typed, own)
        used |= set(kept)
        for text, error in refused.items():
            if text not in missing or "did you mean" in str(error):
                missing[text] = error
        found.append(Arm(name, options.labels.get(name, name), own, tuple(accepted)))
    for text in typed.runs:
        if text not in used and text not in options.common:
            raise missing.get(text) or ConfigError(
                f"'{text}' is set by every arm: choose arms by study.arms=[...], or change "
                f"study.overrides.{names[0]}"
            )
    return found


def jobs(chosen: Sequence[Arm], options: StudyOptions, typed: Typed) -> list[Job]:
    """Return the runs, seed by seed, so that an unfinished study has as many pairs as possible."""
    study = Path(options.dir).absolute()
    return [Job(arm, seed, study, typed.searchpath) for seed in options.seeds for arm in chosen]


def quoted(text: str) -> str:
    """Return a value as Hydra's grammar takes it."""
    return text if re.fullmatch(r"[\w./-]+", text) else "'" + text.replace("'", "\\'") + "'"


def _accept(
    name: str, typed: Typed, own: Sequence[str]
) -> tuple[list[str], list[str], Mapping[str, NoSuchOptionError]]:
    """Return an arm's overrides as Hydra takes them, the common ones that apply, and the others."""
    keys = {_key(text) for text in own}
    common = [text for text in typed.runs if _key(text) not in keys]
    refused: dict[str, NoSuchOptionError] = {}
    while True:
        try:
            return accept([*common, *own], search=typed.search), common, refused
        except NoSuchOptionError as error:
            absent = [text for text in common if _key(text) == error.key]
            if not absent:
                raise ConfigError(f"arm {name}: {error}") from error
            refused |= dict.fromkeys(absent, error)
            common = [text for text in common if text not in absent]
        except ConfigError as error:
            raise ConfigError(f"arm {name}: {error}") from error


def _check_own(name: str, own: Iterable[str]) -> None:
    """ConfigError if an arm's name is not a directory name, or it sets what a study sets itself."""
    if not re.fullmatch(r"[\w.-]+", name) or name.startswith("."):
        raise ConfigError(f"arm '{name}' names a directory: give letters, digits, '_' and '-'")
    for text in own:
        if (key := _key(text)) in OWN or key.split(".")[0] in ("hydra", "study"):
            raise ConfigError(f"arm {name}: '{text}' is not an override of an arm")


def _key(text: str) -> str:
    """Return the key or group that an override sets. ConfigError if it is not an override."""
    key = text.lstrip("+~").partition("=")[0]
    path = re.fullmatch(r"[\w.]+", key) and key.rpartition(".")[2] in PATHS
    if path and "=" in text:
        return key  # its value is taken as typed, whatever it is
    try:
        override = OverridesParser.create().parse_override(text)
    except HydraException as error:
        if "=" in text and re.fullmatch(r"[\w.-]+", key):
            return key  # a text, which is taken as typed; anything else is refused later
        raise ConfigError(
            f"'{text}' is not an override: write name=value, in quotes where the value has spaces "
            "or brackets"
        ) from error
    if override.is_sweep_override():
        raise ConfigError(f"'{text}' is several values: make an arm of each, study.overrides.<arm>")
    return str(override.key_or_group)
