"""manifest.json: the SHA-256 of every other file in a directory, so that damage is seen."""

import json
from pathlib import Path

from tartan.files import sha256

MANIFEST = "manifest.json"


def seal(directory: Path) -> None:
    """Write the manifest of what a directory holds."""
    hashes = {path.name: sha256(path) for path in sorted(directory.iterdir())}
    (directory / MANIFEST).write_text(json.dumps(hashes, indent=2) + "\n", encoding="utf-8")


def damage(directory: Path) -> str | None:
    """What is wrong with a sealed directory, in a few words; None where it is as it was sealed."""
    try:
        hashes: dict[str, str] = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
        for name, expected in hashes.items():
            if sha256(directory / name) != expected:
                return f"{name} is damaged"
    except FileNotFoundError as error:
        return f"{Path(error.filename).name} is missing"
    except OSError as error:
        return f"{Path(error.filename).name} cannot be read: {error.strerror}"
    except (ValueError, AttributeError):
        return f"{MANIFEST} is damaged"
    return None
