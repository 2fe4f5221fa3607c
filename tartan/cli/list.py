"""`python -m tartan list`: every objective and weighting, its distribution, and its cost."""

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from tartan.config.store import AUXILIARY
from tartan.errors import ConfigError
from tartan.objective import PrimaryObjective
from tartan.plugins import Plugins, discover
from tartan.weighting import Weighting, cost


def main(arguments: Sequence[str]) -> int:
    """Print the tables; unusable plugins are reported on standard error."""
    if arguments:
        raise ConfigError(f"list takes no arguments, found '{arguments[0]}'")
    plugins = discover()
    console = Console(highlight=False)
    console.print(objectives(plugins))
    console.print(weightings(plugins))
    for problem in plugins.problems:
        print(f"tartan: cannot be used: {problem}", file=sys.stderr)
    return 0


def objectives(plugins: Plugins) -> Table:
    """Return the table of objectives; each is one of the n in a weighting's cost."""
    table = Table("objective", "role", "distribution", "passes of the body", "also", "adds to n")
    for name, plugin in plugins.objectives.items():
        cls = plugin.cls
        primary = issubclass(cls, PrimaryObjective)
        role = f"primary; auxiliary as {AUXILIARY.format(name)}" if primary else "auxiliary"
        table.add_row(name, role, plugin.distribution, str(cls.passes), cls.cost, "1")
    return table


def weightings(plugins: Plugins) -> Table:
    """Return the table of weightings; n is the number of objectives."""
    table = Table(
        "weighting",
        "distribution",
        "backward passes",
        "copies of the body's gradient",
        caption="n: objectives of the run, the end task included; a copy is 4 bytes a parameter: "
        "90 MB for 22 million, 0.5 GB for 125 million",
    )
    for name, plugin in plugins.weightings.items():
        table.add_row(name, plugin.distribution, *symbolic(plugin.cls))
    return table


def symbolic(weighting: type[Weighting]) -> tuple[str, str]:
    """Return backward passes and copies of the body's gradient as expressions in n."""
    one, two = cost(weighting.needs, 1), cost(weighting.needs, 2)
    return linear(one.backwards, two.backwards), linear(one.copies, two.copies)


def linear(one: int, two: int) -> str:
    """Return a linear count as an expression in n, from its values at n = 1 and n = 2.

    >>> linear(2, 3), linear(3, 3)
    ('n + 1', '3')
    """
    slope = two - one
    constant = one - slope
    terms = ["n" if slope == 1 else f"{slope}n"] if slope else []
    return " + ".join([*terms, *([str(constant)] if constant or not slope else [])])
