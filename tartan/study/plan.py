"""Plan a study: from its overrides to one ordinary run for each arm and seed."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from hydra import compose

from tartan.config.composer import composing
from tartan.config.overrides import accept
from tartan.config.parse import parse as parse_run
from tartan.errors import ConfigError, NoSuchOptionError
from tartan.experiment.schedule import SCALES, scaled_alone, trained_sections
from tartan.study.command_line import OWN, Typed, key_of
from tartan.study.job import Arm, Job
from tartan.study.options import StudyOptions, parse


def read_options(typed: Typed) -> StudyOptions:
    """Return the study's own options. ConfigError if they are not valid."""
    accepted = accept(typed.study, "study", typed.search)
    with composing():
        return parse(compose("study", overrides=[*typed.searchpath, *accepted]))


def with_common(typed: Typed, options: StudyOptions) -> Typed:
    """Return the command line with the study's own overrides of every arm, where it has none."""
    keys = {key_of(text) for text in typed.runs}
    return replace(
        typed, runs=[*(text for text in options.common if key_of(text) not in keys), *typed.runs]
    )


def arms(options: StudyOptions, typed: Typed) -> list[Arm]:
    """Return the chosen arms; an override of all arms applies to those where it has a meaning.

    Raises:
        ConfigError: an override is not valid, or applies to no arm.
    """
    names = options.arms or list(options.overrides)
    found: list[Arm] = []
    used: set[str] = set()
    missing: dict[str, ConfigError] = {}
    for name in names:
        own = tuple(options.overrides[name])
        _check_own(name, own)
        accepted, kept, refused = _accept(name, typed, own)
        used |= set(kept)
        for text, error in refused.items():
            telling = "did you mean" in str(error) or not isinstance(error, NoSuchOptionError)
            if text not in missing or telling:
                missing[text] = error
        found.append(Arm(name, options.labels.get(name, name), own, tuple(accepted)))
    for text in typed.runs:
        if text not in used and text not in options.common:
            raise missing.get(text) or ConfigError(
                f"'{text}' is set by every arm: add an arm, '{_arm_with(text)}', or change "
                f"study.overrides.{_example(key_of(text), found)}"
            )
    return found


def check_weighting(typed: Sequence[str], chosen: Sequence[Arm], weighing: Sequence[str]) -> None:
    """Make sure that a weighting for all arms is that of an arm that weighs several objectives.

    Args:
        typed: the overrides of all arms, as typed.
        chosen: the arms.
        weighing: the names of those with several objectives in a stage.

    Raises:
        ConfigError: arms with one objective alone take it, and it changes nothing.
    """
    for text in typed:
        key = key_of(text)
        takes = {
            arm.name
            for arm in chosen
            if key in map(key_of, arm.overrides) and key not in map(key_of, arm.own)
        }
        if key.split(".")[0] == "weighting" and not takes & set(weighing):
            others = (
                f"those that weigh several objectives ({', '.join(weighing)}) set their own"
                if weighing
                else "none weighs several objectives"
            )
            raise ConfigError(
                f"'{text}' changes no arm: {others}. Add an arm, "
                f"'{_arm_with('objectives=[tapt]', text)}', or give study=weightings"
            )


def _arm_with(*texts: str) -> str:
    """Return the override that adds an arm with overrides of its own."""
    listed = ",".join(f'"{text}"' for text in texts)
    return f"+study.overrides.mine=[{listed}]"


def _example(key: str, chosen: Sequence[Arm]) -> str:
    """Return the name of an arm that sets an option, and not to nothing, if there is one."""
    return next(
        (
            arm.name
            for arm in chosen
            if any(key_of(text) == key and not text.endswith("=[]") for text in arm.own)
        ),
        chosen[0].name,
    )


def jobs(
    chosen: Sequence[Arm], seeds: Sequence[int], study: Path, searchpath: Sequence[str]
) -> list[Job]:
    """Return the runs, seed by seed, so that an unfinished study has as many pairs as possible."""
    return [Job(arm, seed, study, searchpath) for seed in seeds for arm in chosen]


def _accept(
    name: str, typed: Typed, own: Sequence[str]
) -> tuple[list[str], list[str], Mapping[str, ConfigError]]:
    """Return an arm's overrides as Hydra takes them, the common ones that apply, and the others."""
    keys = {key_of(text) for text in own}
    common = [text for text in typed.runs if key_of(text) not in keys]
    refused: dict[str, ConfigError] = {}
    while True:
        try:
            accepted = accept([*common, *own], search=typed.search)
            idle = _scaled_alone([*typed.searchpath, *accepted], common)
            refused |= {text: ConfigError(line) for text, line in idle.items()}
            if not idle:
                return accepted, common, refused
            common = [text for text in common if text not in idle]
        except NoSuchOptionError as error:
            absent = [text for text in common if key_of(text) == error.key]
            if not absent:
                raise ConfigError(f"arm {name}: {error}") from error
            refused |= dict.fromkeys(absent, error)
            common = [text for text in common if text not in absent]
        except ConfigError as error:
            raise ConfigError(f"arm {name}: {error}") from error


def _scaled_alone(overrides: Sequence[str], common: Sequence[str]) -> dict[str, str]:
    """Return the common overrides that scale a loss that an arm trains alone, with the reason."""
    scales = {text: key for text in common if (key := key_of(text)).rpartition(".")[2] in SCALES}
    if not scales:
        return {}
    with composing():
        config = parse_run(compose("config", overrides=[*overrides]))
    found = scaled_alone(trained_sections(config), config.schedule.stages)
    return {text: found[key] for text, key in scales.items() if key in found}


def _check_own(name: str, own: Iterable[str]) -> None:
    """ConfigError if an arm's name is not a directory name, or it sets what a study sets itself."""
    if not re.fullmatch(r"[\w.-]+", name) or name.startswith("."):
        raise ConfigError(f"arm '{name}' names a directory: give letters, digits, '_' and '-'")
    for text in own:
        if (key := key_of(text)) in OWN or key.split(".")[0] in ("hydra", "study"):
            raise ConfigError(f"arm {name}: '{text}' is not an override of an arm")
