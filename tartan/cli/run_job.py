"""What `run` does with a composed configuration. Imported late, because it imports torch."""

from pathlib import Path

from omegaconf import DictConfig

from tartan.config.hydra_files import hydra_files
from tartan.experiment.run import run
from tartan.plugins import discover
from tartan.train.memory import keep_freed_memory


def run_job(composed: DictConfig, directory: Path) -> float:
    """Run a configuration in a directory.

    Returns:
        The best model's value of its metric on dev, which sweepers maximise; higher is better.

    Raises:
        TartanError, Interrupted: as `tartan.experiment.run.run`.
    """
    keep_freed_memory()
    _, summary = run(composed, directory, hydra_files(), discover())
    return float(summary["dev"][summary["metric"]])
