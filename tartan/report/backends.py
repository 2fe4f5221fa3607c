"""The trackers that a run can be logged to, one class each.

They are used through Accelerate, as elsewhere in the Hugging Face ecosystem. The project is
`tartan`, unless the tracker's environment variable names another.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

from accelerate.tracking import GeneralTracker


@dataclass(frozen=True)
class Place:
    """What a tracker needs to know of a run.

    Attributes:
        directory: the run's.
        known: the run's id in the tracker; None for a new run.
        step: steps taken before.
    """

    directory: Path
    known: str | None
    step: int


class Backend(ABC):
    """One tracker: how Accelerate's class for it is made, and what it calls a run."""

    name: ClassVar[str]
    """Its name, which is also its package's."""
    project: ClassVar[str] = ""
    """The environment variable that names a project."""

    @abstractmethod
    def arguments(self, place: Place) -> dict[str, Any]:
        """Return the arguments of Accelerate's class."""

    @abstractmethod
    def id(self, tracker: GeneralTracker, place: Place) -> str:
        """Return the id of a run that was started."""

    def project_name(self) -> str:
        """Return the project that runs belong to."""
        return os.environ.get(self.project, "tartan")


class TensorBoard(Backend):
    """Files in the run's directory."""

    name = "tensorboard"

    def arguments(self, place: Place) -> dict[str, Any]:
        """Return the arguments; lines that a killed run wrote after its checkpoint are hidden."""
        return {
            "run_name": self.name, "logging_dir": place.directory, "purge_step": place.step + 1,
        }  # fmt: skip

    def id(self, tracker: GeneralTracker, place: Place) -> str:
        """Return the directory: TensorBoard has no ids."""
        del tracker
        return str(place.directory)


class Wandb(Backend):
    """Weights & Biases."""

    name, project = "wandb", "WANDB_PROJECT"

    def arguments(self, place: Place) -> dict[str, Any]:
        """Return the arguments; a known run is resumed."""
        run = {"name": str(place.directory), "id": place.known, "resume": "allow"}
        return {"run_name": self.project_name(), **run}

    def id(self, tracker: GeneralTracker, place: Place) -> str:
        """Return W&B's id of the run."""
        del place
        return str(tracker.tracker.id)


class MLflow(Backend):
    """MLflow."""

    name, project = "mlflow", "MLFLOW_EXPERIMENT_NAME"

    def arguments(self, place: Place) -> dict[str, Any]:
        """Return the arguments; a known run is resumed."""
        run = {"run_name": str(place.directory), "run_id": place.known}
        return {"experiment_name": self.project_name(), **run}

    def id(self, tracker: GeneralTracker, place: Place) -> str:
        """Return MLflow's id of the run."""
        del place
        return str(tracker.tracker.info.run_id)


class Trackio(Backend):
    """Trackio."""

    name, project = "trackio", "TRACKIO_PROJECT"

    def arguments(self, place: Place) -> dict[str, Any]:
        """Return the arguments; a known run is resumed."""
        run = {"name": place.known or str(place.directory), "resume": "allow"}
        return {"run_name": self.project_name(), **run}

    def id(self, tracker: GeneralTracker, place: Place) -> str:
        """Return the run's name, by which trackio resumes it."""
        del place
        return str(tracker.tracker.name)


TRACKERS: Mapping[str, Backend] = MappingProxyType(
    {backend.name: backend for backend in (TensorBoard(), Wandb(), MLflow(), Trackio())}
)
"""Every tracker by name."""
