"""`python -m benchmarks.step`: compare a step of tartan with other implementations."""

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.experiment import with_model
from benchmarks.report import report
from benchmarks.rounds import Group, measure
from benchmarks.setting import Setting, add_options, count
from benchmarks.sides import GROUPS, SIDES, members, needs_processes
from benchmarks.tables import page
from tartan.errors import ConfigError, TartanError
from tartan.train.memory import keep_freed_memory


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; return 2 if something was refused."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    options = parser().parse_args(given)
    if options.in_process:
        keep_freed_memory()  # as `python -m tartan run` does
    command = shlex.join(["python", "-m", "benchmarks.step", *given])
    try:
        return run(command, options)
    except TartanError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="python -m benchmarks.step",
        description="Compare a step of tartan with other implementations. Each side is first "
        "checked to compute the same gradient. Sides take turns, so that ratios hold on a busy "
        "machine.",
        epilog="sides: " + "; ".join(f"{name} ({entry.what})" for name, entry in SIDES.items()),
    )
    add_options(made)
    made.add_argument("--rounds", type=count, default=5, help="turns of each side that are timed")
    made.add_argument(
        "--groups", nargs="+", choices=tuple(GROUPS),
        help="groups of sides that take turns; all of them by default",
    )  # fmt: skip
    made.add_argument("--leave-out", nargs="+", default=(), metavar="SIDE")
    made.add_argument(
        "--in-process", action="store_true", help="all in this process; memory is not measured"
    )
    made.add_argument("--json", type=Path, metavar="FILE", help="write everything there, too")
    return made


def run(command: str, options: argparse.Namespace) -> int:
    """Measure what the options select. TartanError if it cannot be measured."""
    setting, started = Setting.of(options), datetime.now(UTC)
    chosen = options.groups or [
        group for group in GROUPS if not (options.in_process and needs_processes(group))
    ]
    for group in filter(needs_processes, chosen if options.in_process else ()):
        raise ConfigError(f"--groups {group} needs processes of its own: remove --in-process")
    names = {group: members(group, options.leave_out) for group in chosen}
    groups: dict[str, Group] = {}
    with with_model(setting) as made:
        for group, sides in names.items():
            groups[group] = measure(
                made, sides, rounds=options.rounds, separate=not options.in_process,
                say=lambda line: print(line, file=sys.stderr, flush=True),
            )  # fmt: skip
    found = report(command, setting, groups, started)
    print(page(found))
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 2 if any(group["refused"] for group in found["groups"].values()) else 0


if __name__ == "__main__":
    sys.exit(main())
