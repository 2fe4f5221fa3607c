"""What can be configured, for commands that need no torch: from the outline on disk, if it is new.

Everything else comes after: a run imports torch when its configuration has been accepted.
"""

from importlib import import_module

from tartan.config.choices import Missing
from tartan.config.entries import enter, search
from tartan.config.outline import Outline
from tartan.config.outline_file import load


def register() -> Outline:
    """Have Hydra know every configuration. Plugins that cannot be used are reported."""
    found = load()
    if found is None:
        made: Outline = import_module("tartan.cli.survey").survey()  # imports torch and plugins
        found = made
    Missing.commands = found.missing
    search(found.places)
    enter(found.entries)
    return found
