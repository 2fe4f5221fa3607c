"""What can be configured, for commands that need no torch: from the outline on disk, if it is new.

Everything else comes after: a run imports torch when its configuration has been accepted.
"""

import sys
from importlib import import_module

from tartan.config import outline_file
from tartan.config.entries import enter
from tartan.config.outline import Outline


def register() -> None:
    """Give Hydra every configuration that is a dataclass; report plugins that cannot be used."""
    known = outline_file.load()
    if known is None:
        known = read()
        for problem in import_module("tartan.plugins").discover().problems:
            print(f"tartan: cannot be used: {problem}", file=sys.stderr)
    enter(known.entries, known.places)


def read() -> Outline:
    """Return the outline of what is installed; keep it for the next command."""
    return import_module("tartan.study.outline").outline()
