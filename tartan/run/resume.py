"""Whether a directory's run may be gone on with: the same configuration, data and device."""

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from tartan.config.parse import resolved
from tartan.config.schema import Config
from tartan.errors import CheckpointError, ConfigError
from tartan.report.record import (
    CHANGES,
    CONFIG,
    ORIGIN,
    SUMMARY,
    read_config,
    read_json,
    reading,
    write_json,
)
from tartan.run.build import Experiment

PLACE = ("run_dir", "resume", "resume_changed", "cache", "tracker", "report", "report_examples")
"""Keys that say where a run is and is shown, not what it is; a resumed run may differ in them."""


def run_directory(config: Config, directory: Path) -> Path:
    """Where the run is: a directory named by `resume`, or its own."""
    if config.resume in ("auto", "never"):
        return directory
    if not Path(config.resume, CONFIG).is_file():
        raise ConfigError(
            f"resume={config.resume}: no run is there; give a run's directory, auto or never"
        )
    return Path(config.resume)


def changed_keys(config: Config, values: Mapping[str, Any], directory: Path) -> list[str]:
    """The keys in which a directory's run was configured otherwise; none where there is no run.

    Raises:
        CheckpointError: there are such keys and `resume_changed` does not allow them, the run is
            complete, or it is not to be gone on with.
    """
    if not (directory / CONFIG).is_file():
        return []
    if config.resume == "never":
        raise CheckpointError(
            f"{directory} already has a run: choose another run_dir, or resume=auto to go on"
        )
    keys = differing_keys(values, directory)
    other = f"{directory} has a run of another configuration ({', '.join(keys)} differ)"
    if keys and not config.resume_changed:
        raise CheckpointError(
            f"{other}: give the same one to go on with it, choose another run_dir, or say "
            "resume_changed=true to go on with the new one"
        )
    if keys and (directory / SUMMARY).exists():
        raise CheckpointError(f"{other}, and it is complete: choose another run_dir")
    return keys


def differing_keys(values: Mapping[str, Any], directory: Path) -> list[str]:
    """The keys in which a directory's run was configured otherwise. CheckpointError: unreadable."""
    path = directory / CONFIG
    try:
        before = resolved(read_config(path))
    except ConfigError as error:
        raise CheckpointError(
            f"{path}: {error}. Set it as it was when the run began, or choose another run_dir"
        ) from error
    return sorted(set(_differing(before, dict(values))) - set(PLACE))


@dataclass(frozen=True)
class Origin:
    """What a run depends on besides its configuration.

    Attributes:
        data: hashes of what it reads, by name.
        device: the kind of device it computes on.
        precision: in which precision.
        environment: versions and hardware, on which the last bit of a figure may depend.
    """

    data: dict[str, str]
    device: str
    precision: str
    environment: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, experiment: Experiment) -> "Origin":
        """What an experiment depends on, here and now."""
        auxiliary = experiment.auxiliary.items()
        data = {f"objectives.{name}": texts.task.hashes["train"] for name, texts in auxiliary}
        runtime = experiment.setup.runtime
        return cls(
            data | dict(experiment.task.hashes),
            runtime.device.type,
            runtime.precision,
            environment(runtime.device),
        )


def environment(device: torch.device) -> dict[str, str]:
    """Versions, hardware and threads."""
    found = {name: version(name) for name in ("tartan", "torch", "transformers", "datasets")}
    found["python"] = platform.python_version()
    if device.type == "cuda":
        return found | {"hardware": torch.cuda.get_device_name(device)}
    hardware = f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
    return found | {"hardware": hardware, "threads": str(torch.get_num_threads())}


def compare(now: Origin, config: Config, directory: Path) -> tuple[list[str], list[str]]:
    """What changed since a directory's run began: names, and lines that the user should know.

    Raises:
        CheckpointError: data, device or precision changed, and `resume_changed` does not allow it.
    """
    content = read_json(directory / ORIGIN)
    if content is None:
        return [], []
    with reading(directory / ORIGIN):
        before = Origin(**content)
        data = sorted(_differing(dict(before.data), now.data))
        moved = sorted(_differing(dict(before.environment), now.environment))
    if data and not config.resume_changed:
        raise CheckpointError(
            f"the data of {directory} changed since the run began ({', '.join(data)}): put it "
            "back to go on, choose another run_dir, or say resume_changed=true to go on with the "
            "new one"
        )
    was = {"device": before.device, "precision": before.precision}
    here = {"device": now.device, "precision": now.precision}
    computing = sorted(_differing(was, here))
    if computing and not config.resume_changed:
        raise CheckpointError(
            f"{directory} began with {_pairs(was)} and would go on with {_pairs(here)}, which is "
            "not the same run: go on where it began, choose another run_dir, or say "
            "resume_changed=true to go on here"
        )
    lines = [
        f"{name} was {before.environment.get(name)} when the run began and is "
        f"{now.environment.get(name)}: the last bits may differ from an undisturbed run's"
        for name in moved
    ]
    return [f"data ({name})" for name in data] + computing, lines


def note_changes(keys: list[str], step: int, directory: Path) -> None:
    """Keep what was changed at a step, for summary.json."""
    changes = changes_of(directory)
    new = {"step": step, "changed": keys}
    if keys and new not in changes:
        write_json(directory / CHANGES, {"changes": [*changes, new]})


def changes_of(directory: Path) -> list[dict[str, Any]]:
    """What was changed in a run while it went on: `step` and `changed`, the keys."""
    with reading(directory / CHANGES):
        changes = (read_json(directory / CHANGES) or {}).get("changes", [])
        return [{"step": int(one["step"]), "changed": list(one["changed"])} for one in changes]


def _pairs(values: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())


def _differing(one: Any, other: Any, key: str = "") -> list[str]:
    """The dotted keys at which two configurations differ."""
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return [] if one == other else [key]
    names = {*one, *other}
    return [
        found
        for name in names
        for found in _differing(one.get(name), other.get(name), f"{key}.{name}" if key else name)
    ]
