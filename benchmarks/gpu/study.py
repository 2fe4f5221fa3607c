"""`python -m benchmarks.gpu.study --out DIR [REGIME ...]`: regimes of docs/evidence.md on a GPU.

Several runs train at a time on one device. After each run `DIR/study.json` has the scores of all
that are finished, and `DIR/runs.tar.gz` their directories without weights. Put that archive into
benchmarks/gpu/carried/ and give the same command to resume: finished runs are not repeated.

Reads the model and the tasks that `benchmarks.gpu.pack` carried.
"""

import argparse
import os
import shlex
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from benchmarks.evidence.passages import domain_of
from benchmarks.evidence.subsets import write_subsets
from benchmarks.gpu.finished import Finished
from benchmarks.gpu.pack import CARRIED
from benchmarks.origin import machine, versions
from tartan.train.runtime import Runtime

REGIMES = ("b256", "b512", "b128", "b64", "a")
"""In the order in which they run; those after `b512` have been measured on a CPU."""
SIZES, SEEDS = (64, 128, 256, 512), 12
JOBS = 8
"""Runs at a time, on hosts of 16 cores or more."""
SMALL = ("--seeds=2", "steps=2", "eval.every=2")
EVERY, GRACE = 2.0, 20.0
"""Seconds between two looks for finished runs, and those that a study has to stop."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run regimes until all are finished or time is up; return 1 unless all are finished."""
    began = time.monotonic()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu.study", description=__doc__)
    parser.add_argument("regimes", nargs="*", default=REGIMES, metavar="REGIME")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=CARRIED / "study", help="where runs are")
    parser.add_argument("--seconds", type=float, default=480.0, help="of all of it")
    parser.add_argument("--jobs", type=int, default=max(2, min(JOBS, (os.cpu_count() or 2) // 2)))
    parser.add_argument("--small", action="store_true", help="few steps, for a rehearsal")
    options = parser.parse_args(arguments)
    work: Path = options.work.absolute()
    prepare(CARRIED, work)
    device = str(Runtime.choose("auto", "auto").device)
    facts = {
        "command": shlex.join(
            ["python", "-m", "benchmarks.gpu.study", *(arguments or sys.argv[1:])]
        ),
        "machine": machine(device),
        "versions": versions(),
        "jobs": options.jobs,
    }
    finished = Finished(work, options.out, facts)
    more = SMALL if options.small else ()
    deadline = began + options.seconds
    complete = [
        _regime(name, work, finished, deadline, options.jobs, more) for name in options.regimes
    ]
    return 0 if all(complete) else 1


def prepare(carried: Path, work: Path) -> None:
    """Lay out the directory of regimes: model, tasks, subsets, and runs that were carried."""
    (work / "models").mkdir(parents=True, exist_ok=True)
    model, task = work / "models" / "minilm-acl", work / "data" / "citation_intent"
    if not model.exists():
        model.symlink_to(carried / "model")
    if not task.exists():
        task.mkdir(parents=True)
        for file in (carried / "data" / "citation_intent").iterdir():
            (task / file.name).symlink_to(file)
        write_subsets(task, work / "data", SEEDS, SIZES)
        abstracts = carried / "data" / "acl_abstracts" / "abstracts.txt"
        if abstracts.exists():
            (task / "domain.txt").unlink(missing_ok=True)
            domain_of(abstracts, task / "domain.txt")
    if (carried / "runs.tar.gz").exists():
        with tarfile.open(carried / "runs.tar.gz") as archive:
            archive.extractall(work, filter="data")


def _regime(
    name: str, work: Path, finished: Finished, deadline: float, jobs: int, more: Sequence[str]
) -> bool:
    """Run a regime until it is complete, fails, or time is up; return whether it is complete."""
    began = time.monotonic()
    if deadline - began < GRACE:
        finished.note(name, "skipped", 0.0)
        return False
    command = [
        sys.executable, "-m", "benchmarks.evidence.chain", str(work), name, f"--jobs={jobs}", *more
    ]  # fmt: skip
    process = subprocess.Popen(command, start_new_session=True)
    while process.poll() is None and time.monotonic() < deadline - GRACE:
        with suppress(subprocess.TimeoutExpired):
            process.wait(EVERY)
        finished.look()
    stopped = process.poll() is None
    if stopped:
        _stop(process)
    status = "stopped" if stopped else "complete" if process.returncode == 0 else "failed"
    finished.note(name, status, time.monotonic() - began)
    print(f"{name}: {status}, {time.monotonic() - began:.0f} s", flush=True)
    return status == "complete"


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a regime with all its processes: runs save their last step, and tables are written."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        until = time.monotonic() + GRACE / 2
        with suppress(ProcessLookupError):  # all have ended: the first may end before the others
            os.killpg(process.pid, number)
            while time.monotonic() < until:
                process.poll()
                os.killpg(process.pid, 0)
                time.sleep(0.1)
            continue
        return


if __name__ == "__main__":
    sys.exit(main())
