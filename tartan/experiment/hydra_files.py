"""The files that Hydra itself would write to .hydra/."""

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf


def hydra_files() -> dict[str, DictConfig | list[str]]:
    """Return Hydra's own settings and the overrides, by the name of their file in .hydra/."""
    settings = HydraConfig.get()
    return {
        "hydra.yaml": OmegaConf.create({"hydra": OmegaConf.to_container(settings)}),
        "overrides.yaml": list(settings.overrides.task),
    }
