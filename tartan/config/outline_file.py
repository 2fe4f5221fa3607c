"""The outline of what can be configured, kept on disk for the next command.

It is used while nothing has changed that it was made from: the installed distributions, and every
file of Python of tartan and of the plugins. It is not kept where a plugin cannot be loaded, so that
each command tries it again.
"""

import hashlib
import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib.resources import files
from pathlib import Path

from tartan.config.outline import NotPlainError, Outline, from_json, to_json
from tartan.errors import TartanError
from tartan.files import write_text

CACHE = "TARTAN_CACHE"
"""The environment variable of the directory of outlines: `~/.cache/tartan` by default."""
KEPT = 8
"""Outlines that are kept: of other environments, or of other states of this one."""
FORMAT = 2
"""To be increased where the JSON changes."""


def load() -> Outline | None:
    """Return the outline; None where there is none, or something has changed."""
    try:
        content = json.loads(_path().read_bytes())
        changed = any(_state(path) != state for path, state in content["files"].items())
        return None if changed else from_json(content)
    except (OSError, LookupError, TypeError, ValueError, AttributeError, RecursionError):
        return None  # it is made again


def save(outline: Outline, packages: Iterable[str]) -> None:
    """Keep an outline, if it can be written.

    Args:
        outline: what was read from imported modules.
        packages: the top-level packages that the outline depends on.
    """
    needed = set(packages)
    sources = {
        str(module.__file__)
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] in needed and getattr(module, "__file__", None)
    }
    with suppress(NotPlainError, OSError, TartanError):
        content = {**to_json(outline), "files": {name: _state(name) for name in sorted(sources)}}
        path = _path()
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(content))
        _prune(path.parent)


def located(package: str) -> str:
    """Return where a package's YAML files are, as Hydra's search path names it.

    A directory is read without importing the package, which might import torch.
    """
    place = files(package)
    return f"file://{place}" if isinstance(place, Path) else f"pkg://{package}"


def _path() -> Path:
    """Return the outline's file, whose name depends on what is installed."""
    given = os.environ.get(CACHE)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    directory = Path(given) if given else Path(base) / "tartan"
    found = sorted({each for place in sys.path for each in _installed(place)})
    installed = [FORMAT, sys.version, found]
    key = hashlib.sha256(json.dumps(installed).encode()).hexdigest()
    return directory / f"outline-{key[:20]}.json"


def _installed(place: str) -> Iterator[tuple[str, int]]:
    """Return the distributions in a directory of `sys.path`, and when they were installed."""
    with suppress(OSError):
        for entry in os.scandir(place or "."):
            if entry.name.endswith((".dist-info", ".egg-info")):
                yield os.path.abspath(entry.path), entry.stat().st_mtime_ns  # noqa: PTH100


def _state(path: str) -> list[int]:
    """Return what changes when a file does."""
    try:
        state = os.stat(path)  # noqa: PTH116 - hundreds of them, for a command that takes no time
    except OSError:
        return []
    return [state.st_mtime_ns, state.st_size]


def _prune(directory: Path) -> None:
    """Remove the oldest outlines."""
    found = sorted(directory.glob("outline-*.json"), key=lambda path: path.stat().st_mtime_ns)
    for path in found[:-KEPT]:
        path.unlink(missing_ok=True)
