"""Run a contract without pytest; report the outcome of each rule."""

import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from tartan.errors import PluginError, suggest, with_type
from tartan.plugins import Plugin, Plugins
from tartan.testing.contract import Broken, Contract, NotApplicable, Rule
from tartan.testing.objective_contract import ObjectiveContract
from tartan.testing.weighting_contract import WeightingContract


class Outcome(Enum):
    """The outcome of a rule."""

    KEPT = "kept"
    BROKEN = "broken"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True)
class Verdict:
    """The outcome of a rule, with its reason.

    Attributes:
        rule: the rule.
        outcome: its outcome.
        found: how the plugin breaks it, or why it does not apply; empty if it is kept.
    """

    rule: Rule
    outcome: Outcome
    found: str = ""


def contracts(plugins: Plugins, names: Sequence[str]) -> list[type[Contract]]:
    """Return the contracts of installed plugins by name, or of all if no name is given.

    Raises:
        PluginError: if a name is not that of an installed objective or weighting.
    """
    shelves: list[tuple[type[Contract], Mapping[str, Plugin[Any]]]] = [
        (ObjectiveContract, plugins.objectives),
        (WeightingContract, plugins.weightings),
    ]
    known = [name for _, shelf in shelves for name in shelf]
    for name in names:
        if name not in known:
            broken = "".join(f" (broken plugin: {problem})" for problem in plugins.problems)
            raise PluginError(f"no plugin '{name}' is installed: {suggest(name, known)}{broken}")
    return [
        type(base.__name__, (base,), {"plugin": name, base.kind(): plugin.cls})
        for base, shelf in shelves
        for name, plugin in shelf.items()
        if name in names or not names
    ]


def examine(contract: type[Contract]) -> Iterator[Verdict]:
    """Test a plugin by each rule of a contract."""
    for rule in contract.rules():
        yield judge(contract, rule)


def judge(contract: type[Contract], rule: Rule) -> Verdict:
    """Test a plugin by one rule."""
    try:
        getattr(contract(), rule.name)()
    except NotApplicable as reason:
        return Verdict(rule, Outcome.NOT_APPLICABLE, str(reason))
    except Broken as error:
        return Verdict(rule, Outcome.BROKEN, str(error))
    except Exception as error:
        # A plugin may raise anything; the other rules still have to run.
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{frame.filename}:{frame.lineno}"
        return Verdict(rule, Outcome.BROKEN, f"{with_type(error)} ({place})")
    return Verdict(rule, Outcome.KEPT)
