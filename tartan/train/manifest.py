"""manifest.json: the SHA-256 of every other file in a directory, so that damage is detected."""

import json
from collections.abc import Collection
from pathlib import Path

from tartan.files import read_text, sha256

MANIFEST = "manifest.json"


def seal(directory: Path) -> None:
    """Write the manifest of a directory's files."""
    hashes = {path.name: sha256(path) for path in sorted(directory.iterdir())}
    (directory / MANIFEST).write_text(json.dumps(hashes, indent=2) + "\n", encoding="utf-8")


def damage(directory: Path, required: Collection[str]) -> str | None:
    """Return in a few words how a directory differs from what was sealed; None if it does not.

    Args:
        directory: the directory.
        required: files that the manifest must list.
    """
    try:
        hashes: dict[str, str] = json.loads(read_text(directory / MANIFEST))
        if unlisted := sorted(set(required) - hashes.keys()):
            return f"{MANIFEST} does not list {unlisted[0]}"
        for name, expected in hashes.items():
            if sha256(directory / name) != expected:
                return f"{name} is damaged"
    except FileNotFoundError as error:
        return f"{Path(error.filename).name} is missing"
    except OSError as error:
        return f"{Path(error.filename).name} cannot be read: {error.strerror}"
    except (ValueError, AttributeError, TypeError):
        return f"{MANIFEST} is damaged"
    return None
