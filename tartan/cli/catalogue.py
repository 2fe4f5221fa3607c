"""Facts about installed objectives and weightings, as `python -m tartan list` shows them."""

import inspect
from dataclasses import MISSING, Field, asdict, dataclass, fields, is_dataclass
from typing import Any

from tartan.config.store import AUXILIARY
from tartan.errors import TartanError
from tartan.objective import Objective, PrimaryObjective
from tartan.plugins import Plugin, Plugins
from tartan.weighting import Needs, Weighting, cost, samples


@dataclass(frozen=True)
class ObjectiveFacts:
    """An objective.

    Attributes:
        name: what a configuration calls it.
        distribution: the installed distribution that it comes from, and its version.
        about: the first line of its module's or, without one, its class's docstring.
        role: `primary` or `auxiliary`.
        auxiliary: its name as an auxiliary.
        forwards: passes of the body forward, for one micro-batch.
        backwards: passes backward.
        also: what a step computes besides, in words.
        options: its options with their defaults.
    """

    name: str
    distribution: str
    about: str
    role: str
    auxiliary: str
    forwards: int
    backwards: int
    also: str
    options: dict[str, Any]


@dataclass(frozen=True)
class WeightingFacts:
    """A weighting; n stands for the number of objectives, the end task included.

    Attributes:
        name: what a configuration calls it.
        distribution: the installed distribution that it comes from, and its version.
        paper: where the method was published.
        use: when to use it.
        needs: the signals that it needs: `losses`, `gradients`, `dev`.
        backwards: backward passes of the body in a step that measures them, an expression in n.
        copies: copies of the body's gradient held at once, an expression in n.
        state: the names of what a checkpoint keeps of it; None where its defaults make none.
        end_task_first: True where its rule privileges the end task.
        signed: True where a weight may be negative.
        waits: True where each step waits for the device.
        samples: True where each step computes some of the objectives, whose number is n.
        fewest: the fewest objectives that it weighs.
        options: its options with their defaults.
    """

    name: str
    distribution: str
    paper: str
    use: str
    needs: list[str]
    backwards: str
    copies: str
    state: list[str] | None
    end_task_first: bool
    signed: bool
    waits: bool
    samples: bool
    fewest: int
    options: dict[str, Any]


def catalogue(plugins: Plugins) -> dict[str, list[dict[str, Any]]]:
    """Return all facts as JSON values: `objectives`, `weightings` and `problems`."""
    return {
        "objectives": [asdict(objective(each)) for each in plugins.objectives.values()],
        "weightings": [asdict(weighting(each)) for each in plugins.weightings.values()],
        "problems": [asdict(problem) for problem in plugins.problems],
    }


def objective(plugin: Plugin[Objective]) -> ObjectiveFacts:
    """Return the facts about an objective."""
    cls = plugin.cls
    primary = issubclass(cls, PrimaryObjective)
    return ObjectiveFacts(
        plugin.name,
        plugin.distribution,
        about(cls),
        "primary" if primary else "auxiliary",
        AUXILIARY.format(plugin.name) if primary else plugin.name,
        cls.passes.forward,
        cls.passes.backward,
        cls.cost,
        defaults(cls.Options),
    )


def about(cls: type) -> str:
    """Return what a class is, in a line: of its module's docstring or, without one, its own."""
    documented = inspect.getdoc(inspect.getmodule(cls)) or inspect.getdoc(cls) or ""
    return documented.partition("\n")[0]


def weighting(plugin: Plugin[Weighting]) -> WeightingFacts:
    """Return the facts about a weighting."""
    cls = plugin.cls
    backwards, copies = symbolic(cls)
    return WeightingFacts(
        plugin.name,
        plugin.distribution,
        cls.paper,
        cls.use,
        [str(need.name).lower() for need in Needs if need in cls.needs],
        backwards,
        copies,
        state(cls),
        cls.end_task_first,
        cls.signed,
        cls.waits,
        samples(cls),
        cls.fewest,
        defaults(cls.Options),
    )


def state(cls: type[Weighting]) -> list[str] | None:
    """Return the names of a weighting's state; None where it cannot be made with its defaults."""
    names = tuple(f"objective_{number}" for number in range(max(2, cls.fewest)))
    try:
        return list(cls(cls.Options(), names).state_dict())
    except TartanError:
        return None


def defaults(options: type) -> dict[str, Any]:
    """Return the options of a dataclass with their defaults, as JSON values."""
    return {option.name: _default(option) for option in fields(options)}


def _default(option: "Field[Any]") -> Any:
    """Return the default of an option."""
    factory = option.default_factory
    value = option.default if factory is MISSING else factory()
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return value


def symbolic(weighting: type[Weighting]) -> tuple[str, str]:
    """Return backward passes and copies of the body's gradient as expressions in n."""
    one, two = cost(weighting.needs, 1), cost(weighting.needs, 2)
    return linear(one.backwards, two.backwards), linear(one.copies, two.copies)


def linear(one: float, two: float) -> str:
    """Return a linear count as an expression in n, from its values at n = 1 and n = 2.

    >>> linear(2, 3), linear(3, 3)
    ('n + 1', '3')
    """
    slope = two - one
    constant = one - slope
    terms = ["n" if slope == 1 else f"{slope:g}n"] if slope else []
    return " + ".join([*terms, *([f"{constant:g}"] if constant or not slope else [])])
