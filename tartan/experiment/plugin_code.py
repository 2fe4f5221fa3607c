"""The distributions and source code of the plugins that a run uses, as hashes."""

import hashlib
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tartan.plugins import Plugin, Plugins

LIBRARIES = {"abc", "builtins", "tartan", "torch", "transformers", "typing"}
"""Packages whose classes plugins derive from; their versions are recorded with the environment."""


def plugin_hashes(
    objectives: Iterable[str], weightings: Iterable[str], plugins: Plugins
) -> dict[str, str]:
    """Return for each plugin of a run `<distribution> <version> <hash of its code>`.

    Args:
        objectives: names of plugins.
        weightings: names of plugins.
        plugins: the installed plugins.
    """
    used: list[Plugin[Any]] = [plugins.objectives[name] for name in objectives]
    used += [plugins.weightings[name] for name in weightings]
    return {plugin.name: f"{plugin.distribution} {plugin_code(plugin.cls)}" for plugin in used}


def plugin_code(cls: type) -> str:
    """Return a hash of the code that a plugin's class is defined by.

    These are the Python files of the package that the class is in, subpackages included, or its
    module where that is in no package; and the same of each class that it derives from, unless
    that belongs to `LIBRARIES`.
    """
    modules = {base.__module__ for base in cls.__mro__}
    places = [
        place
        for module in sorted(modules)
        if module.partition(".")[0] not in LIBRARIES
        for place in _places(module)
    ]
    return code_hash(places)


def code_hash(places: Iterable[Path]) -> str:
    """Return a hash, in hexadecimal, of Python files: names and contents.

    Args:
        places: files, and directories whose files are read, subdirectories included.
    """
    sha256 = hashlib.sha256()
    for place in sorted(set(places)):
        files = sorted(place.rglob("*.py")) if place.is_dir() else [place]
        for file in files:
            content = file.read_bytes()
            name = file.relative_to(place.parent).as_posix()
            sha256.update(f"{name}\0{len(content)}\0".encode())
            sha256.update(content)
    return sha256.hexdigest()


def _places(name: str) -> list[Path]:
    """Return where the code of a module is: its package's directories, or its file."""
    module = sys.modules.get(name)
    package = sys.modules.get(getattr(module, "__package__", None) or "")
    if (paths := getattr(package, "__path__", None)) is not None:
        return [Path(path) for path in paths]
    file = getattr(module, "__file__", None)
    return [Path(file)] if file else []
