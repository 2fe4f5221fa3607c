"""One run's configuration from overrides, without Hydra's main function."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict

from tartan.config.composer import Composer, composing
from tartan.config.hydra_files import Files, hydra_files
from tartan.config.isolation import own_hydra
from tartan.config.overrides import accept
from tartan.config.parse import resolved
from tartan.config.store import register
from tartan.plugins import discover


@dataclass(frozen=True)
class Composed:
    """A run's configuration.

    Attributes:
        config: all options, interpolations resolved.
        directory: where the run writes its files.
        files: what Hydra itself would write to .hydra/, by name.
    """

    config: DictConfig
    directory: Path
    files: Files


def compose_run(overrides: Sequence[str], search: str | None = None) -> Composed:
    """Compose a run's configuration; Hydra's state is afterwards as it was before.

    Args:
        overrides: as on the command line.
        search: a further directory of configurations, as `--config-dir` names it.

    Raises:
        ConfigError: they cannot be composed.
    """
    with own_hydra():
        register(discover())
        accepted = accept(overrides, search=search)
        with composing():
            whole = Composer("config", search).compose(accepted, hydra=True)
            HydraConfig.instance().set_config(whole)
            files = hydra_files()
            directory = str(HydraConfig.get().run.dir)  # run_dir, or hydra.run.dir=...
            with open_dict(whole):
                del whole["hydra"]
            values = resolved(whole)
    return Composed(OmegaConf.create(values), Path(directory).expanduser(), files)
