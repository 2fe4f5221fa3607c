"""Time sides in turn: the times of one round are comparable, even on a busy machine."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from benchmarks.agreement import Agreement
from benchmarks.peak import matrix_peak
from benchmarks.runner import Facts, Local, Memory, Runner, Turn
from benchmarks.setting import Setting
from benchmarks.sides import SIDES, Measured
from benchmarks.worker import Remote

Say = Callable[[str], None]


@dataclass
class Result:
    """The measurements of one side.

    Attributes:
        facts: what it is.
        agreement: how near its gradient is to its reference's; None where it is the reference.
        turns: one a round.
        peaks: of each round, operations a second that the machine could do just then.
        memory: None where sides shared a process.
    """

    facts: Facts
    agreement: Agreement | None
    turns: list[Turn] = field(default_factory=list)
    peaks: list[float] = field(default_factory=list)
    memory: Memory | None = None


@dataclass(frozen=True)
class Group:
    """The measurements of a group.

    Attributes:
        results: by side.
        refused: by side, why it was not timed.
    """

    results: Mapping[str, Result]
    refused: Mapping[str, str]


def measure(
    setting: Setting,
    names: Sequence[str],
    *,
    rounds: int,
    warm_up: int = 1,
    separate: bool = True,
    say: Say = print,
) -> Group:
    """Build the sides, check them, and time them in turn.

    Args:
        setting: what they train; its model is a directory or a hub id.
        names: the sides, with the references they need, in the order of their turns.
        rounds: how many are timed.
        warm_up: how many come before them.
        separate: whether each side has a process of its own; without, memory is not measured.
        say: called with each line of progress.

    Raises:
        BenchmarkError: a side cannot be built, or stops.
    """
    refused: dict[str, str] = {}
    with ExitStack() as stack:
        runners: dict[str, Runner] = {}
        for name in names:
            runners[name] = Remote(setting, name) if separate else Local(setting, name)
            stack.callback(runners[name].close)
        facts = {name: runner.build() for name, runner in runners.items()}
        agreements = _check(runners, refused)
        for name, why in refused.items():
            say(f"{name} is not timed: {why}")
        results = {
            name: Result(facts[name], agreements.get(name)) for name in names if name not in refused
        }
        for name in results:
            runners[name].begin()
        for number in range(-warm_up, rounds):
            _round(runners, results, kept=number >= 0)
            say(_said(number, rounds, results))
        for name, result in results.items():
            result.memory = runners[name].memory()
    return Group(results, refused)


def _check(runners: Mapping[str, Runner], refused: dict[str, str]) -> dict[str, Agreement]:
    """Compare the sides' gradients with their references'; refuse those that differ."""
    agreements: dict[str, Agreement] = {}
    with TemporaryDirectory(prefix="tartan-gradients-") as directory:
        files = {name: Path(directory, f"{name}.safetensors") for name in runners}
        for name in sorted(runners, key=lambda name: SIDES[name].reference is not None):
            reference = SIDES[name].reference
            expected = None if reference is None else files[reference]
            runners[name].gradient(files[name], expected)
            if expected is None:
                continue
            agreement = Agreement.of(Measured.load(files[name]), Measured.load(expected))
            agreements[name] = agreement
            if agreement.objection is not None:
                refused[name] = f"compared with {reference}, it has {agreement.objection}"
            files[name].unlink()
    return agreements


def _round(runners: Mapping[str, Runner], results: Mapping[str, Result], *, kept: bool) -> None:
    """Take one turn of every side; measure the machine's peak first."""
    kinds = {(r.facts.device, r.facts.precision) for r in results.values()} if kept else ()
    peaks = {kind: matrix_peak(torch.device(kind[0]), kind[1]) for kind in kinds}
    for name, result in results.items():
        turn = runners[name].turn()
        if kept:
            result.turns.append(turn)
            result.peaks.append(peaks[result.facts.device, result.facts.precision])


def _said(number: int, rounds: int, results: Mapping[str, Result]) -> str:
    if number < 0:
        return "warmed up"
    seconds = (f"{name} {result.turns[-1].seconds:.3g}" for name, result in results.items())
    return f"round {number + 1}/{rounds}, seconds a step: {', '.join(seconds)}"
