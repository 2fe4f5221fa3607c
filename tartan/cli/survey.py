"""Reads what can be configured from what is installed: imports tartan and every plugin."""

import sys
from typing import Any

from tartan.config.outline import Outline
from tartan.config.outline_file import located, save
from tartan.config.store import entries
from tartan.distributed.place import reports
from tartan.plugins import Plugins, discover
from tartan.study.options import ENTRY


def survey() -> Outline:
    """Return the outline of what is installed, and keep it; report plugins that cannot be used.

    With such a plugin it is not kept, so that the next command tries and reports it again.
    """
    plugins = discover()
    for problem in plugins.problems if reports() else ():
        print(f"tartan: cannot be used: {problem}", file=sys.stderr)
    found = Outline(
        (*entries(plugins), ENTRY),
        tuple(map(located, plugins.configs)),
        (*plugins.objectives, *plugins.weightings),
        plugins.missing,
    )
    if not plugins.problems:
        save(found, _packages(plugins))
    return found


def _packages(plugins: Plugins) -> set[str]:
    """Return the top-level packages whose files determine the options: tartan's and plugins'."""
    found: list[Any] = [each.cls for each in plugins.objectives.values()]
    found += [each.cls for each in plugins.weightings.values()]
    classes = {base for cls in found for base in (*cls.__mro__, *cls.Options.__mro__)}
    modules = (*(cls.__module__ for cls in classes), *plugins.configs)
    return {module.partition(".")[0] for module in modules} - {"abc", "builtins", "torch", "typing"}
