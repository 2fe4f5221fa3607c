"""Experiment trackers: the metrics of metrics.jsonl in TensorBoard, W&B, MLflow or trackio too."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from accelerate import PartialState
from accelerate.tracking import LOGGER_TYPE_TO_CLASS, GeneralTracker, get_available_trackers
from accelerate.utils import LoggerType

from tartan.errors import ConfigError, first_line, suggest
from tartan.report.backends import TRACKERS, Place
from tartan.report.record import (
    MetricsLine,
    make_checkpoints,
    read_json,
    reading,
    write_json,
)

TRACKED = "checkpoints/tracker.json"
"""The tracker that a run is logged to, and the run's id there."""


@dataclass(frozen=True)
class Tracked:
    """A run in a tracker.

    Attributes:
        tracker: the tracker's name.
        id: the run's id there.
    """

    tracker: str
    id: str


def check_tracker(name: str | None, *, installed: bool = True) -> None:
    """ConfigError unless a tracker is known and, where it has to be `installed`, is."""
    if name is None:
        return
    if name not in TRACKERS:
        raise ConfigError(f"tracker={name}: no such tracker; {suggest(name, TRACKERS)}")
    if installed and LoggerType(name) not in get_available_trackers():
        raise ConfigError(f"tracker={name} is not installed: pip install {name}")


class RunTracker:
    """A run in a tracker, which is disabled when it fails."""

    def __init__(self, tracker: GeneralTracker, notify: Callable[[str], None]) -> None:
        self._tracker: GeneralTracker | None = tracker
        self._notify = notify

    def log(self, record: MetricsLine) -> None:
        """Log a line of metrics.jsonl."""
        values = {key: value for key, value in record.items() if "/" in key}
        self._try(lambda tracker: tracker.log(values, step=int(record["step"])))

    def close(self) -> None:
        """Finish."""
        self._try(lambda tracker: tracker.finish())
        self._tracker = None

    def _try(self, act: Callable[[GeneralTracker], object]) -> None:
        """Use the tracker; a failure of its network or service does not stop a run."""
        if self._tracker is None:
            return
        try:
            act(self._tracker)
        except Exception as error:
            name, self._tracker = self._tracker.name, None
            self._notify(
                f"Tracker {name} failed and was disabled; metrics.jsonl is still written: "
                f"{first_line(error)}"
            )


def start_tracker(
    name: str,
    directory: Path,
    records: Sequence[MetricsLine],
    config: Mapping[str, Any],
    notify: Callable[[str], None],
) -> RunTracker:
    """Start a run in a tracker, or resume the one that the directory's run is logged to.

    Args:
        name: one of `TRACKERS`.
        directory: the run's.
        records: the lines of metrics.jsonl that are there already.
        config: the run's configuration.
        notify: shows a line.

    Raises:
        ConfigError: the tracker does not start.
    """
    backend, known = TRACKERS[name], _known(name, directory)
    place = Place(directory, known, int(records[-1]["step"]) if records else 0)
    PartialState()  # without it Accelerate's trackers cannot log what they do
    try:
        tracker = LOGGER_TYPE_TO_CLASS[name](**backend.arguments(place))
        tracker.start()
        if known is None:
            tracker.store_init_configuration(flat(config))
    except Exception as error:
        raise ConfigError(f"tracker={name} does not start: {first_line(error)}") from error
    make_checkpoints(directory)
    write_json(directory / TRACKED, asdict(Tracked(name, known or backend.id(tracker, place))))
    started = RunTracker(tracker, notify)
    for record in records if known is None else ():
        started.log(record)
    return started


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, str | int | float | bool]:
    """Return a configuration as one map with dotted names, of values that every tracker takes.

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


def _known(name: str, directory: Path) -> str | None:
    """Return the id that a tracker has given the directory's run; None where it has given none."""
    content = read_json(directory / TRACKED)
    if content is None:
        return None
    with reading(directory / TRACKED):
        before = Tracked(**content)
        if not (isinstance(before.tracker, str) and isinstance(before.id, str)):
            raise TypeError("tracker and id must be texts")
    return before.id if before.tracker == name else None
