"""The files that Hydra itself would write to .hydra/."""

from collections.abc import Mapping
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

Files = Mapping[str, DictConfig | list[str]]
"""Files of .hydra/, by name."""


def hydra_files() -> Files:
    """Return Hydra's own settings and the overrides, by the name of their file in .hydra/."""
    settings = HydraConfig.get()
    return {
        "hydra.yaml": OmegaConf.create({"hydra": OmegaConf.to_container(settings)}),
        "overrides.yaml": task_overrides(),
    }


def task_overrides() -> list[str]:
    """Return the run's overrides as Hydra took them, interpolations as they were typed."""
    found: Any = OmegaConf.to_container(HydraConfig.get().overrides.task, resolve=False)
    return list(found)
