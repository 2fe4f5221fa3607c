"""Directories made for a run that is then refused are removed; those that were there stay."""

from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from tartan.config.typed_text import value_of
from tartan.errors import ConfigError

OPTIONS = ("run_dir", "hydra.run.dir")
"""Options that give a run's directory."""


def existing_for(overrides: Sequence[str]) -> frozenset[Path]:
    """Return the directories that exist already, of the run directory given and its parents.

    Raises:
        ConfigError: what is given is, or is in, a file.
    """
    return existing(
        (option, value_of(text))
        for text in overrides
        if (option := text.partition("=")[0]) in OPTIONS
    )


def existing(directories: Iterable[tuple[str, str]]) -> frozenset[Path]:
    """Return the directories that exist already, of run directories and their parents.

    Args:
        directories: the option that gives one, and the directory.

    Raises:
        ConfigError: one of them is, or is in, a file.
    """
    found = {path for path in parents(Path.cwd()) if path.is_dir()}
    for option, name in directories:
        for path in parents(Path(name)):
            with suppress(OSError, ValueError):  # a name that no file can have is refused later
                if path.is_dir():
                    found.add(path)
                elif path.exists():
                    raise ConfigError(f"{option}={name}: {path} is a file; give a directory")
    return frozenset(found)


def parents(path: Path) -> list[Path]:
    """Return a path and all above it, absolute."""
    return [path.absolute(), *path.absolute().parents]


def remove_empty(directory: Path, before: Collection[Path]) -> None:
    """Remove what was made for a run that was refused, or is resumed elsewhere.

    Args:
        directory: the run's.
        before: directories that existed before, and stay.
    """
    with suppress(OSError):  # raised at the first that has something in it
        for path in parents(directory):
            if path in before:
                return
            path.rmdir()
