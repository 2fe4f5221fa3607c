"""The options of a study: `study=...` and `study.<option>=...` on the command line."""

from dataclasses import dataclass, field, replace
from typing import Any

from omegaconf import DictConfig

from tartan.checks import check_ranges
from tartan.config.entries import Entry, enter
from tartan.config.parse import options, resolved
from tartan.errors import ConfigError, suggest

MOST_LEVEL = 0.5
"""The largest level: by a larger one, two equal arms would differ more often than not."""


@dataclass
class StudyOptions:
    """A study.

    Attributes:
        arms: which, in the order of the table; null for all of `overrides` whose corpora the data
            has.
        seeds: how many, from 0 on, or a list of them; null for the fewest with which a difference
            can be shown, at least 8.
        dir: the directory that the study writes its files to; started again, it resumes there.
        processes: of each run, which share the micro-batches of its steps; a launcher such as
            torchrun sets how many.
        against: an arm that every other arm is compared with; null to compare all pairs.
        confidence: of the intervals, 0 to 1.
        level: the significance level of corrected p values, 0 to 0.5.
        common: overrides of every arm; one is left out where the command line sets its option, or
            the arm does.
        overrides: by arm, the overrides that define it.
        labels: by arm, its name in tables.
    """

    arms: list[str] | None = None
    seeds: Any = None
    dir: str = "study"
    processes: int = 1
    against: str | None = None
    confidence: float = 0.95
    level: float = 0.05
    common: list[str] = field(default_factory=list)
    overrides: dict[str, list[str]] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)


@dataclass
class Root:
    """The configuration that the study's part of the command line is composed into.

    Attributes:
        study: the study's options.
    """

    study: StudyOptions = field(default_factory=StudyOptions)


ENTRY = Entry("study_schema", Root)
"""The study's options, as Hydra takes them."""


def register() -> None:
    """Register the study's options with Hydra."""
    enter([ENTRY])


def parse(composed: DictConfig) -> StudyOptions:
    """Return the typed options, seeds as a list if given. ConfigError if they are not valid."""
    found = options(StudyOptions, resolved(composed)["study"], "study")
    check_ranges("study", found, confidence="(0, 1)", level="(0, 1)", processes="[1, inf)")
    if found.level > MOST_LEVEL:
        raise ConfigError(
            f"study.level={found.level:g}: p values below it count as significant, so give at most "
            f"{MOST_LEVEL:g}, such as 0.05; the confidence of intervals is study.confidence"
        )
    chosen = list(found.overrides) if found.arms is None else found.arms
    if not chosen:
        raise ConfigError("study.arms=[]: name at least one arm")
    for name in chosen if found.against is None else [*chosen, found.against]:
        if name not in found.overrides:
            raise ConfigError(f"study: no arm '{name}'; {suggest(name, found.overrides)}")
    if len(set(chosen)) < len(chosen):
        raise ConfigError(f"study.arms={chosen}: name each arm once")
    labels = [found.labels.get(name, name) for name in chosen]
    if len(set(labels)) < len(labels):
        raise ConfigError(f"study.labels: {labels}: give each arm a label of its own")
    if found.against is not None and found.against not in chosen:
        raise ConfigError(f"study.against={found.against}: it is not among study.arms")
    return replace(found, seeds=_seeds(found.seeds))


def _seeds(given: Any) -> list[int] | None:
    """Return the seeds, None where they are not given. ConfigError if they are not valid."""
    if given is None:
        return None
    if isinstance(given, int) and not isinstance(given, bool) and given > 0:
        return list(range(given))
    if (
        isinstance(given, list)
        and given
        and all(isinstance(seed, int) and seed >= 0 for seed in given)
        and len(set(given)) == len(given)
    ):
        return given
    raise ConfigError(f"study.seeds={given}: give how many, at least 1, or a list of them")
