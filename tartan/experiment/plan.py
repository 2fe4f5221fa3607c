"""What a run is going to do: its configuration, its directory, its processes."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tartan.config.hydra_files import Files
from tartan.config.schema import Config
from tartan.distributed.ranks import Ranks
from tartan.plugins import Plugins


@dataclass(frozen=True)
class Plan:
    """A run that was parsed: what to build, and where.

    Attributes:
        config: its configuration.
        values: the same as plain values, interpolations resolved.
        files: what .hydra/ holds.
        directory: where it writes its files.
        plugins: the installed plugins.
        ranks: the processes of the run.
    """

    config: Config
    values: Mapping[str, Any]
    files: Files
    directory: Path
    plugins: Plugins
    ranks: Ranks

    @property
    def command(self) -> list[str]:
        """Return the overrides that it was composed of."""
        return [str(text) for text in self.files.get("overrides.yaml", [])]
