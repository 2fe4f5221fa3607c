"""What `run` does with a composed configuration. This module imports torch, and so is not early."""

from pathlib import Path

from omegaconf import DictConfig

from tartan.experiment.hydra_files import hydra_files
from tartan.experiment.run import run
from tartan.plugins import discover
from tartan.train.memory import keep_freed_memory


def train(composed: DictConfig, directory: Path) -> None:
    """Run a configuration in a directory. Errors are those of `tartan.experiment.run.run`."""
    keep_freed_memory()
    run(composed, directory, hydra_files(), discover())
