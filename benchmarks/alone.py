"""`python -m benchmarks.alone [OTHER]`: what the methods for several processes cost one process.

It prints the share of a step's CPU time that is spent in them, and with the directory of another
checkout the CPU time of a step against that of the other: both take the same steps of the demo in
turn, and the least of several rounds counts, since other programs only add to it.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

WEIGHTINGS = {"static": "static", "META": "meta", "Gramian": "pcgrad"}
METHODS = {
    "tartan.distributed.ranks:Ranks": ("share", "counts"),
    "tartan.shared:Shared": ("totals", "complete"),
}
"""What a step of one process calls for the sake of several."""
OPTIONS = [
    "objectives=[mlm]", "device=cpu", "precision=fp32", "batch_size=8", "accumulate=2",
    "data.train=64", "data.dev=64", "data.unlabelled=64",
]  # fmt: skip
STEPS, ROUNDS = 20, 8


def step_of(weighting: str) -> Callable[[int], object]:
    """Return what takes a step of a run, by its number."""
    from hydra import compose, initialize_config_module  # noqa: PLC0415 - of the checkout

    from tartan.config.parse import parse  # noqa: PLC0415
    from tartan.config.store import register  # noqa: PLC0415
    from tartan.experiment.build import build  # noqa: PLC0415
    from tartan.plugins import discover  # noqa: PLC0415
    from tartan.train.stage import Stage  # noqa: PLC0415

    plugins = discover()
    register(plugins)
    with initialize_config_module("tartan.configs", version_base="1.3"):
        config = parse(compose("config", [*OPTIONS, f"weighting={weighting}"]))
    experiment = build(config, plugins)
    return Stage(experiment.setup, experiment.stages["joint"]).take


def seconds(take: Callable[[int], object], first: int) -> float:
    """Return the CPU seconds of some steps."""
    began = time.process_time()
    for step in range(first, first + STEPS):
        take(step)
    return time.process_time() - began


def share(weighting: str) -> float:
    """Return the share of a step's CPU time that is spent in `METHODS`."""
    take, spent = step_of(weighting), [0.0]
    seconds(take, 0)
    for target, names in METHODS.items():
        module, _, cls = target.partition(":")
        owner: Any = getattr(sys.modules[module], cls)
        for name in names:
            method = getattr(owner, name)
            setattr(owner, name, _timed(getattr(method, "untimed", method), spent))
    total = seconds(take, STEPS)
    return spent[0] / total


def _timed(method: Callable[..., Any], spent: list[float]) -> Callable[..., Any]:
    """Return a method that adds its CPU time to a sum."""

    def timed(*args: Any, **kwargs: Any) -> Any:
        began = time.process_time()
        try:
            return method(*args, **kwargs)
        finally:
            spent[0] += time.process_time() - began

    timed.untimed = method  # type: ignore[attr-defined]  # of the weighting before
    return timed


def serve(weighting: str) -> None:
    """Take steps whenever a line is read, and print their CPU seconds."""
    take = step_of(weighting)
    seconds(take, 0)
    for number, _ in enumerate(sys.stdin, 1):
        print(seconds(take, number * STEPS), flush=True)


def against(other: Path, weighting: str) -> float:
    """Return the CPU time of a step as a multiple of the other checkout's."""
    sides = [_start(path, weighting) for path in (Path(__file__).parents[1], other)]
    least = [float("inf")] * 2
    for turn in range(2 * ROUNDS):
        side = (turn + turn // 2) % 2  # ABBA
        least[side] = min(least[side], _ask(sides[side]))
    for process in sides:
        process.communicate()
    return least[0] / least[1]


def _start(checkout: Path, weighting: str) -> "subprocess.Popen[str]":
    path = os.pathsep.join([str(checkout), str(checkout / "plugins")])
    return subprocess.Popen(
        [sys.executable, __file__, "--serve", weighting],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _ask(process: "subprocess.Popen[str]") -> float:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return float(process.stdout.readline())


def main() -> None:
    """Print the figures, a line for each weighting."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("other", nargs="?", type=Path, help="directory of another checkout")
    parser.add_argument("--only", nargs="+", choices=WEIGHTINGS, default=list(WEIGHTINGS))
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(given.serve)
        return
    for name in given.only:
        line = f"{name}: methods for several processes take {share(WEIGHTINGS[name]):.2%} of a step"
        if given.other:
            ratio = against(given.other.absolute(), WEIGHTINGS[name])
            line += f", which takes {ratio:.3f} times as long as that of {given.other}"
        print(line, flush=True)


if __name__ == "__main__":
    main()
