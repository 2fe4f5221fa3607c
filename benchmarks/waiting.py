"""How OpenMP's threads wait: seconds of a step alone, and beside programs that use the cores.

    python -m benchmarks.waiting results/waiting.json [name=value ...]

Each setting has a process of its own, with two threads. In each round, every process takes some
steps in turn while the others sleep; then again beside two endless loops. Ratios to the default
of OpenMP are medians of the ratios within a round. Overrides choose another model: model=minilm.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SETTINGS: dict[str, dict[str, str]] = {
    "default": {},
    "passive": {"OMP_WAIT_POLICY": "passive"},
    "spin 1000": {"GOMP_SPINCOUNT": "1000"},
    "spin 10000": {"GOMP_SPINCOUNT": "10000"},
    "spin 30000": {"GOMP_SPINCOUNT": "30000"},
    "spin 100000": {"GOMP_SPINCOUNT": "100000"},
}
ROUNDS, STEPS = 5, 10
NAMES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")


def child(overrides: Sequence[str]) -> None:
    """Take steps whenever a line is read; print the median seconds of one."""
    from tartan.config.compose_run import compose_run  # noqa: PLC0415 - the parent needs no torch
    from tartan.config.parse import parse  # noqa: PLC0415
    from tartan.experiment.build import build  # noqa: PLC0415
    from tartan.plugins import discover  # noqa: PLC0415
    from tartan.train.stage import Stage  # noqa: PLC0415

    experiment = build(parse(compose_run([*overrides]).config), discover())
    stage = Stage(experiment.setup, next(iter(experiment.stages.values())))
    for step in range(2):
        stage.take(step)
    print("ready", flush=True)
    step = 2
    for _ in sys.stdin:
        taken = []
        for _ in range(STEPS):
            began = time.perf_counter()
            stage.take(step)
            taken.append(time.perf_counter() - began)
            step += 1
        print(statistics.median(taken), flush=True)


def measure(overrides: Sequence[str]) -> dict[str, Any]:
    """Return the seconds of a step by setting, alone and beside two endless loops."""
    plain = {name: value for name, value in os.environ.items() if name not in NAMES}
    plain["OMP_NUM_THREADS"] = "2"
    children = {
        name: subprocess.Popen(
            [sys.executable, "-m", "benchmarks.waiting", "--child", *overrides],
            env={**plain, **setting}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for name, setting in SETTINGS.items()
    }  # fmt: skip
    for process in children.values():
        _answer(process)
    found: dict[str, dict[str, list[float]]] = {n: {"alone": [], "busy": []} for n in SETTINGS}
    for _ in range(ROUNDS):
        for condition in ("alone", "busy"):
            loops = [
                subprocess.Popen([sys.executable, "-c", "while True: pass"])
                for _ in range(2 if condition == "busy" else 0)
            ]
            for name, process in children.items():
                assert process.stdin is not None
                print(file=process.stdin, flush=True)
                found[name][condition].append(float(_answer(process)))
            for loop in loops:
                loop.kill()
                loop.wait()
    for process in children.values():
        process.communicate()
    return {"overrides": list(overrides), "load": os.getloadavg(), "seconds": found}


def ratio(seconds: Sequence[float], default: Sequence[float]) -> float:
    """Return the median of the ratios within a round, [rounds] each."""
    return statistics.median(one / other for one, other in zip(seconds, default, strict=True))


def _answer(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def main() -> None:
    """Measure, print ratios, and write the figures."""
    if len(sys.argv) < 2:
        raise SystemExit("give the file of the figures: python -m benchmarks.waiting FILE.json")
    if sys.argv[1] == "--child":
        child(sys.argv[2:])
        return
    found = measure(["objectives=[mlm]", "weighting=meta", "device=cpu", *sys.argv[2:]])
    first = found["seconds"]["default"]
    for name, times in found["seconds"].items():
        shown = [f"{each} {ratio(values, first[each]):.2f}" for each, values in times.items()]
        print(f"{name:10} {', '.join(shown)}")
    Path(sys.argv[1]).write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
