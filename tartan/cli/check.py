"""`python -m tartan check NAME ...`: test whether installed plugins keep their contracts."""

import sys
from collections import Counter
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tartan.errors import ConfigError
from tartan.plugins import discover
from tartan.testing.contract import Contract
from tartan.testing.examine import Outcome, Verdict, contracts, examine

STYLES = {Outcome.KEPT: "green", Outcome.BROKEN: "bold red", Outcome.NOT_APPLICABLE: "dim"}


def main(arguments: Sequence[str]) -> int:
    """Check plugins by name, or all of them.

    Returns:
        1 if one breaks a rule or, of all, one cannot be used; else 0.

    Raises:
        ConfigError: an argument is an option.
        PluginError: a name is not that of an installed plugin.
    """
    for argument in arguments:
        if argument.startswith("-"):
            raise ConfigError(f"check takes names of plugins, got '{argument}'")
    plugins, console = discover(), Console(highlight=False)
    outcomes: Counter[Outcome] = Counter()
    for contract in contracts(plugins, arguments):
        with console.status(f"checking {contract.plugin}"):
            verdicts = list(examine(contract))
        console.print(table(contract, verdicts))
        outcomes.update(verdict.outcome for verdict in verdicts)
    console.print(", ".join(f"{outcomes[outcome]} {outcome.value}" for outcome in Outcome))
    problems = () if arguments else plugins.problems
    for problem in problems:
        print(f"tartan: cannot be used: {problem}", file=sys.stderr)
    return int(outcomes[Outcome.BROKEN] > 0 or len(problems) > 0)


def table(contract: type[Contract], verdicts: Sequence[Verdict]) -> Table:
    """Return one plugin's table: its rules, their outcomes and the reasons."""
    rows = Table("rule", "", title=f"{contract.kind()} {contract.plugin}", box=SIMPLE_HEAD)
    rows.title_justify = "left"
    for verdict in verdicts:
        style = STYLES[verdict.outcome]
        lines = [verdict.found] if verdict.found else []
        if verdict.outcome is Outcome.BROKEN and verdict.rule.remedy:
            lines.append(f"to fix: {verdict.rule.remedy}")
        found = ("".join(f"\n  {line}" for line in lines), style)
        rows.add_row(Text.assemble(verdict.rule.promise, found), Text(verdict.outcome.value, style))
    return rows
