"""A study's command line, sorted by what each override is for."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from tartan.config.typed_text import PATHS
from tartan.config.values import searchpath
from tartan.errors import ConfigError

OWN = {
    "run_dir": "set study.dir=... instead",
    "seed": "set study.seeds=... instead",
    "resume": "a study resumes in its study.dir",
}
"""Options that a study sets itself, and what to do instead."""


@dataclass(frozen=True)
class Typed:
    """A study's command line.

    Attributes:
        study: overrides of the study itself.
        hydra: of Hydra's own settings: the launcher.
        runs: of every arm.
        search: an additional directory of configurations.
    """

    study: Sequence[str]
    hydra: Sequence[str]
    runs: Sequence[str]
    search: str | None = None

    @classmethod
    def split(cls, overrides: Iterable[str], search: str | None = None) -> "Typed":
        """Sort overrides into study, Hydra and runs. ConfigError if one is invalid or refused."""
        parts: dict[str, list[str]] = {"study": [], "hydra": [], "runs": []}
        for text in overrides:
            key = key_of(text)
            if key in OWN:
                raise ConfigError(f"'{text}': {OWN[key]}")
            head = re.split(r"[./]", key)[0]
            parts[head if head in ("study", "hydra") else "runs"].append(text)
        return cls(**parts, search=search)

    @cached_property
    def searchpath(self) -> list[str]:
        """Return the additional directory as an override of Hydra's search path."""
        return searchpath(self.search)


def key_of(text: str) -> str:
    """Return what an override sets: a key, a group, or `group@package` where it names a package.

    Raises:
        ConfigError: it is not an override.
    """
    key = text.lstrip("+~").partition("=")[0]
    path = re.fullmatch(r"[\w.]+", key) and key.rpartition(".")[2] in PATHS
    if path and "=" in text:
        return key  # its value is taken as typed, whatever it is
    try:
        override = OverridesParser.create().parse_override(text)
    except HydraException as error:
        if "=" in text and re.fullmatch(r"[\w.-]+", key):
            return key  # a text, which is taken as typed; anything else is refused later
        raise ConfigError(
            f"'{text}' is not an override: write name=value, in quotes where the value has spaces "
            "or brackets"
        ) from error
    if override.is_sweep_override():
        raise ConfigError(f"'{text}' is several values: make an arm of each, study.overrides.<arm>")
    where = "" if override.package is None else f"@{override.package}"
    return f"{override.key_or_group}{where}"
