"""How long commands take until they answer: CPU seconds of two installations, in turn.

    python -m benchmarks.startup FILE.json BEFORE/bin/python AFTER/bin/python [ROUNDS [CASE]]

Each installation is an environment of its own. In each round every command is run by one and then
by the other, with one thread; ratios are medians over the rounds of ratios within a round. CPU
seconds, user and system, are those of the process and what it starts: another program that uses
the cores hardly changes them. A first run of each, which fills caches, is not counted. With CASE,
only the cases whose names contain it are measured, and their old figures are replaced.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

ROUNDS = 5
FIRST_STEP = """
import os, sys
import tartan.train.step as step
taken = step.Step.__call__
def first(*given):
    taken(*given)
    print("stepped", flush=True)
    os._exit(0)
step.Step.__call__ = first
from tartan.cli import main
sys.exit(main(sys.argv[1:]))
"""
"""Ends a run after its first step."""
TARTAN = ["-m", "tartan"]
CASES: Mapping[str, Sequence[str]] = {
    "--help": [*TARTAN, "--help"],
    "a command that does not exist": [*TARTAN, "rnu"],
    "run --help": [*TARTAN, "run", "--help"],
    "an option that does not exist": [*TARTAN, "run", "stpes=3"],
    "completion of `run weighting=`": [*TARTAN, "completion", "--words", "run weighting="],
    "run, to its first step": ["-c", FIRST_STEP, "run", "objectives=[mlm]", "run_dir=out"],
}


def spent(python: str, arguments: Sequence[str]) -> float:
    """Return the CPU seconds of a command."""
    with tempfile.TemporaryDirectory() as directory:
        process = subprocess.Popen(
            [python, *arguments],
            cwd=directory,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return used.ru_utime + used.ru_stime


def measure(
    before: str,
    after: str,
    rounds: int,
    part: str = "",
    take: Callable[[str, Sequence[str]], float] = spent,
) -> dict[str, dict[str, list[float]]]:
    """Return the seconds of each case, by installation, round by round."""
    sides = {"before": before, "after": after}
    cases = [case for case in CASES if part in case]
    found: dict[str, dict[str, list[float]]] = {
        case: {side: [] for side in sides} for case in cases
    }
    for number in range(rounds + 1):
        for case in cases:
            for side, python in sides.items():
                seconds = take(python, CASES[case])
                if number:
                    found[case][side].append(round(seconds, 3))
    return found


def ratios(found: Mapping[str, Mapping[str, Sequence[float]]]) -> dict[str, float]:
    """Return, by case, the median over rounds of after / before."""
    return {
        case: round(
            statistics.median(after / before for before, after in zip(*each.values(), strict=True)),
            2,
        )
        for case, each in found.items()
    }


def main() -> None:
    """Measure, print a table, and write the figures."""
    target, before, after, *more = sys.argv[1:]
    rounds, part = int(more[0]) if more else ROUNDS, more[1] if more[1:] else ""
    found = measure(before, after, rounds, part)
    if part:
        found = json.loads(Path(target).read_text(encoding="utf-8"))["cpu_seconds"] | found
    shares = ratios(found)
    for case, each in found.items():
        seconds = ", ".join(f"{s} {statistics.median(v):.2f} s" for s, v in each.items())
        print(f"{case:32} {seconds}, ratio {shares[case]:.2f}")
    content = {"cpu_seconds": found, "ratios": shares, "load": os.getloadavg()}
    Path(target).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
