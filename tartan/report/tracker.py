"""Experiment trackers: what metrics.jsonl holds, told to TensorBoard, W&B, MLflow or trackio too.

They are reached through Accelerate, as everywhere in the Hugging Face ecosystem. The project is
`tartan`, unless the tracker's environment variable names another.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from accelerate import PartialState
from accelerate.tracking import LOGGER_TYPE_TO_CLASS, GeneralTracker, get_available_trackers
from accelerate.utils import LoggerType

from tartan.errors import ConfigError, suggest
from tartan.report.record import MetricsLine, read_json, write_json

TRACKED = "checkpoints/tracker.json"
"""Which tracker a run is in, and what the tracker calls it."""
TRACKERS: Mapping[str, str] = {
    "tensorboard": "",
    "wandb": "WANDB_PROJECT",
    "mlflow": "MLFLOW_EXPERIMENT_NAME",
    "trackio": "TRACKIO_PROJECT",
}
"""By name, which is also the package's, the environment variable that names a project."""


def check_tracker(name: str | None) -> None:
    """ConfigError unless a tracker is known and installed."""
    if name is None:
        return
    if name not in TRACKERS:
        raise ConfigError(f"tracker={name}: {suggest(name, TRACKERS)}")
    if LoggerType(name) not in get_available_trackers():
        raise ConfigError(f"tracker={name}: it is not installed: pip install {name}")


@dataclass(frozen=True)
class Tracked:
    """Where a run is in a tracker.

    Attributes:
        tracker: which.
        id: what it calls the run.
    """

    tracker: str
    id: str


class RunTracker:
    """A run in a tracker."""

    def __init__(self, tracker: GeneralTracker, tell: Callable[[str], None]) -> None:
        self._tracker: GeneralTracker | None = tracker
        self._tell = tell

    def log(self, record: MetricsLine) -> None:
        """Tell of a line of metrics.jsonl. A tracker that fails is named and told no more."""
        values = {key: value for key, value in record.items() if "/" in key}
        self._try(lambda tracker: tracker.log(values, step=int(record["step"])))

    def close(self) -> None:
        """Have the tracker finish."""
        self._try(lambda tracker: tracker.finish())
        self._tracker = None

    def _try(self, act: Callable[[GeneralTracker], object]) -> None:
        """Act on the tracker: no network or service is worth a run."""
        if self._tracker is None:
            return
        try:
            act(self._tracker)
        except Exception as error:
            name, self._tracker = self._tracker.name, None
            self._tell(f"{name} fails and is told no more, metrics.jsonl is: {_line(error)}")


def start_tracker(
    name: str,
    directory: Path,
    records: Sequence[MetricsLine],
    config: Mapping[str, Any],
    tell: Callable[[str], None],
) -> RunTracker:
    """Begin a run in a tracker, or go on with the one that the directory's run is in.

    Args:
        name: one of `TRACKERS`.
        directory: the run's.
        records: the lines of metrics.jsonl that the run goes on after.
        config: the run's configuration.
        tell: what shows a line.

    Raises:
        ConfigError: the tracker does not start.
    """
    before = read_json(directory / TRACKED) or {}
    known = before.get("id") if before.get("tracker") == name else None
    step = int(records[-1]["step"]) if records else 0
    PartialState()  # without it Accelerate's trackers cannot log what they do
    try:
        tracker = LOGGER_TYPE_TO_CLASS[name](**_arguments(name, directory, known, step))
        tracker.start()
        if known is None:
            tracker.store_init_configuration(flat(config))
    except Exception as error:
        raise ConfigError(f"tracker={name} does not start: {_line(error)}") from error
    tracked = Tracked(name, known or _id(name, tracker, directory))
    write_json(directory / TRACKED, asdict(tracked))
    found = RunTracker(tracker, tell)
    for record in records if known is None else ():
        found.log(record)
    return found


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, str | int | float | bool]:
    """A configuration as one map with dotted names, of values that every tracker takes.

    >>> flat({"seed": 0, "eval": {"metric": None}})
    {'seed': 0, 'eval.metric': 'None'}
    """
    found: dict[str, str | int | float | bool] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value if isinstance(value, str | int | float) else str(value)
    return found


def _arguments(name: str, directory: Path, known: str | None, step: int) -> dict[str, Any]:
    """What Accelerate's class for a tracker is made with."""
    project, run = os.environ.get(TRACKERS[name], "tartan"), str(directory)
    if name == "tensorboard":
        # What a killed run wrote beyond its checkpoint is hidden when it goes on.
        return {"run_name": name, "logging_dir": directory, "purge_step": step + 1}
    if name == "mlflow":
        return {"experiment_name": project, "run_name": run, "run_id": known}
    if name == "wandb":
        return {"run_name": project, "name": run, "id": known, "resume": "allow"}
    return {"run_name": project, "name": known or run, "resume": "allow"}


def _id(name: str, tracker: GeneralTracker, directory: Path) -> str:
    """What a tracker calls a run that has begun."""
    run = tracker.tracker
    return str({"wandb": lambda: run.id, "mlflow": lambda: run.info.run_id,
                "trackio": lambda: run.name}.get(name, lambda: directory)())  # fmt: skip


def _line(error: Exception) -> str:
    """The first line of an error, with its type where it says nothing."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__
