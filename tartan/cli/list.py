"""`python -m tartan list`: every objective and weighting, its distribution, and its cost."""

import json
import sys
from collections.abc import Iterable, Sequence

from rich.table import Table

from tartan.cli.catalogue import ObjectiveFacts, WeightingFacts, catalogue, objective, weighting
from tartan.errors import ConfigError, suggest
from tartan.plugins import Plugins, discover
from tartan.report.terminal import show, terminal_table

FORMATS = ("--json", "--markdown")
PAGE = """# Weightings

Written by `python -m tartan list --markdown`. Choose one with `weighting=NAME`; its options are
below `weighting.`, and `python -m tartan list --json` has their defaults. How to write one is in
[Plugins](plugins.md).

* **needs**: what a step measures. *losses* are always measured. *gradients* are the inner products
  of all objectives' gradients on the body. *dev* is each gradient's product with the dev gradient.
* **passes** and **copies**: backward passes of a step, and copies of the body's gradient that are
  held at once, for n objectives with the end task. A copy takes 4 bytes for each parameter of the
  body that trains (with LoRA, for each of its adapters).
* **state**: the names of what a checkpoint stores of the weighting.
* **end task first**: the rule treats the end task, or its dev loss, differently from the other
  objectives.

Measure against `static`: equal weights cost nothing and are hard to beat. The names that begin
with `torchjd_` are [TorchJD](https://torchjd.org)'s methods: `pip install 'tartan[torchjd]'`.
Those marked *CPU* compute there, so that each step waits for the device; *signed* weights may be
negative; where one *samples*, each step computes some of the objectives, n of them, and waits for
the device once. `torchjd_` weightings that need no gradients make one number of
the losses; their weights are its derivatives at the losses of the step before.

[Helpful and harmful objectives](harmful.md) shows what weightings do with objectives that do not
help. `python -m tartan study study=weightings` compares weightings on your own task.

| name | paper | needs | passes | copies | state | end task first | when to use it |
|---|---|---|---|---|---|---|---|
"""


def main(arguments: Sequence[str]) -> int:
    """Print the facts as tables, as JSON (`--json`), or as a page of weightings (`--markdown`).

    Unusable plugins are in the JSON; otherwise they are reported on standard error.
    """
    if len(arguments) > 1 or any(argument not in FORMATS for argument in arguments):
        wrong = next((each for each in arguments if each not in FORMATS), arguments[-1])
        hint = suggest(wrong, FORMATS)
        raise ConfigError(f"list takes one of {' or '.join(FORMATS)}, found '{wrong}': {hint}")
    plugins = discover()
    if "--json" in arguments:
        print(json.dumps(catalogue(plugins), indent=2, allow_nan=False))
        return 0
    if "--markdown" in arguments:
        print(markdown(map(weighting, plugins.weightings.values())), end="")
    else:
        show(objectives(plugins), weightings(plugins))
    for problem in plugins.problems:
        print(f"tartan: cannot be used: {problem}", file=sys.stderr)
    return 0


def objectives(plugins: Plugins) -> Table:
    """Return the table of objectives; each is one of the n in a weighting's cost."""
    header = ("objective", "role", "distribution", "passes of the body", "also", "adds to n")
    rows = []
    for plugin in plugins.objectives.values():
        facts = objective(plugin)
        passes = str(plugin.cls.passes)
        rows.append((facts.name, _role(facts), facts.distribution, passes, facts.also, "1"))
    return terminal_table(header, rows)


def _role(facts: ObjectiveFacts) -> str:
    """Return an objective's role in words."""
    primary = facts.role == "primary"
    return f"primary; auxiliary as {facts.auxiliary}" if primary else "auxiliary"


def weightings(plugins: Plugins) -> Table:
    """Return the table of weightings; n is the number of objectives."""
    header = (
        "weighting",
        "distribution",
        "backward passes",
        "copies of the body's gradient",
        "needs",
        "state",
        "end task first",
        "paper",
    )
    rows = [
        (
            facts.name,
            facts.distribution,
            facts.backwards,
            facts.copies,
            ", ".join(facts.needs),
            _state(facts),
            "yes" if facts.end_task_first else "no",
            facts.paper,
        )
        for facts in map(weighting, plugins.weightings.values())
    ]
    caption = (
        "n: objectives of the run, the end task included; a copy is 4 bytes a parameter that "
        "trains: 90 MB for 22 million, 0.5 GB for 125 million"
    )
    return terminal_table(header, rows, caption=caption)


def _state(facts: WeightingFacts) -> str:
    """Return the names of a weighting's state in words."""
    return "depends on options" if facts.state is None else ", ".join(facts.state) or "none"


def markdown(weightings: Iterable[WeightingFacts]) -> str:
    """Return the page `docs/weightings.md` about weightings, in Markdown."""
    return PAGE + "".join(_row(facts) for facts in weightings)


def _row(facts: WeightingFacts) -> str:
    """Return a weighting's row of the page."""
    marks = {"CPU": facts.waits, "signed": facts.signed, "samples": facts.samples}
    notes = [f"*{mark}*" for mark, holds in marks.items() if holds]
    notes += [f"at least {facts.fewest} objectives"] if facts.fewest > 1 else []
    cells = [
        f"`{facts.name}`",
        facts.paper,
        ", ".join(facts.needs),
        facts.backwards,
        facts.copies,
        _state(facts).replace("_", "\\_"),
        "yes" if facts.end_task_first else "no",
        "; ".join([facts.use, *notes]),
    ]
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"
