"""docs/objectives.md: everything that a run can select by name, from what is installed.

python -m tools.gallery > docs/objectives.md
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tartan.cli.catalogue import catalogue
from tartan.plugins import discover

CONFIGS = Path(__file__).parents[1] / "configs"
PAGE = """# Gallery

Written by `python -m tools.gallery` from `python -m tartan list --json` and `configs/`. Options of
an objective are below `objectives.NAME.`, of the end task below `primary.`, with their defaults.
[Weightings](weightings.md) has the weightings, [Plugins](plugins.md) how to write your own, and
`python -m tartan list` what is installed, other distributions included.

## End tasks

`primary=NAME`; as an auxiliary objective on labels of its own data, `'objectives=[NAME_aux]'`.

{primary}
## Auxiliary objectives

`'objectives=[NAME,NAME]'`. Passes of the body are forward and backward, for one micro-batch.

{auxiliary}
## Variants with a name

Objectives with other options, selected likewise.

{variants}
## Schedules

`schedule=NAME`: which objectives train in which stage.

{schedules}
## Data sets

`data=NAME`, with the paper's metric.

{data}
## Models

`model=NAME`.

{models}"""


def table(head: str, rows: Iterator[tuple[str, ...]]) -> str:
    """Return a table in Markdown."""
    titles = head.split(" | ")
    lines = [f"| {head} |", f"|{'---|' * len(titles)}"]
    for row in rows:
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |")
    return "\n".join(lines) + "\n"


def objectives(facts: Sequence[Mapping[str, Any]], role: str) -> Iterator[tuple[str, ...]]:
    """Yield a row for each of tartan's own objectives that has a role."""
    for each in facts:
        if each["role"] == role and each["distribution"].startswith("tartan "):
            passes = f"{each['forwards']}, {each['backwards']}"
            options = ", ".join(
                f"`{name}={json.dumps(value) if value is not None else 'null'}`"
                for name, value in each["options"].items()
            )
            cells = (f"`{each['name']}`", each["about"], options or "none")
            yield cells if role == "primary" else (*cells[:2], passes, cells[2])


def configurations(group: str) -> Iterator[tuple[str, ...]]:
    """Yield a row for each configuration of a group: its name, and what its comment says."""
    for path in sorted((CONFIGS / group).glob("*.yaml")):
        comment: list[str] = []
        for line in path.read_text(encoding="utf-8").splitlines():
            if not line.startswith("#"):
                break
            if not line.startswith("# @package"):
                comment.append(line.removeprefix("#").strip())
        yield f"`{path.stem}`", " ".join(comment)


def page() -> str:
    """Return the page."""
    facts = catalogue(discover())["objectives"]
    return PAGE.format(
        primary=table("name | what it is | options", objectives(facts, "primary")),
        auxiliary=table("name | what it is | passes | options", objectives(facts, "auxiliary")),
        variants=table("name | what it is", configurations("objectives")),
        schedules=table("name | what it is", configurations("schedule")),
        data=table("name | what it is", configurations("data")),
        models=table("name | what it is", configurations("model")),
    )


if __name__ == "__main__":
    print(page(), end="")
