"""Run steps one after another under a deadline, and record each as soon as it has ended.

Needs nothing but Python: it runs before anything is installed.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

LEAST = 3.0
"""Seconds under which no step is started."""
GRACE = 5.0
"""Seconds that a step has to end after SIGTERM."""
TAIL = 400
"""Characters of a failed step's output that are recorded."""


@dataclass(frozen=True)
class Step:
    """A command of the host.

    Attributes:
        name: its heading in the log.
        command: the program and its arguments.
        seconds: its limit.
    """

    name: str
    command: Sequence[str]
    seconds: float


@dataclass(frozen=True)
class Outcome:
    """What became of a step.

    Attributes:
        name: the step.
        status: `passed`, `failed`, `stopped` (at its limit) or `skipped` (no time was left).
        code: its exit status; None if it was skipped.
        seconds: how long it ran.
        said: the end of its output, if it did not pass.
    """

    name: str
    status: str
    code: int | None = None
    seconds: float = 0.0
    said: str = ""


class Record:
    """The file that has the outcomes, complete after each step."""

    def __init__(self, file: Path, facts: Mapping[str, object]) -> None:
        """`facts` come first in the file."""
        self._file, self._facts = file, dict(facts)
        self.outcomes: list[Outcome] = []

    def add(self, outcome: Outcome) -> None:
        """Write the outcome of a step."""
        self.outcomes.append(outcome)
        found = {**self._facts, "steps": [asdict(each) for each in self.outcomes]}
        scratch = self._file.with_suffix(".part")
        scratch.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        scratch.replace(self._file)


def run_all(
    steps: Sequence[Step],
    record: Record,
    out: Path,
    deadline: float,
    *,
    cwd: Path,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Run steps, whatever became of those before; none runs past the deadline, on `clock`.

    Their output is appended to one file, `log.txt`.
    """
    for step in steps:
        left = deadline - clock() - GRACE
        if left < LEAST:
            record.add(Outcome(step.name, "skipped", said="no time was left"))
            continue
        record.add(_run(step, min(step.seconds, left), out / "log.txt", cwd))
        last = record.outcomes[-1]
        print(f"{last.name}: {last.status}, {last.seconds:.0f} s", flush=True)


def _run(step: Step, limit: float, log: Path, cwd: Path) -> Outcome:
    """Run one step, its output appended to a file, for at most `limit` seconds."""
    began = time.monotonic()
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}
    stopped = False
    with log.open("ab") as file:
        file.write(f"=== {step.name}\n".encode())
        file.flush()
        start = file.tell()
        try:
            process = subprocess.Popen(
                step.command, cwd=cwd, env=environment, stdout=file, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            return Outcome(step.name, "failed", None, 0.0, str(error))
        try:
            code = process.wait(limit)
        except subprocess.TimeoutExpired:
            stopped, code = True, _stop(process)
    status = "stopped" if stopped else "passed" if code == 0 else "failed"
    said = "" if status == "passed" else log.read_bytes()[start:].decode(errors="replace")[-TAIL:]
    return Outcome(step.name, status, code, round(time.monotonic() - began, 2), said)


def _stop(process: subprocess.Popen[bytes]) -> int:
    """End a step with all its processes; return its exit status."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            return process.wait(GRACE)
    return process.wait()
