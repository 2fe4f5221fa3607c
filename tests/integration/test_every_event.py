"""A run or study killed at any file-system event ends, started again, as an undisturbed one.

Some events with `-m slow`; all of them with
`python -m pytest -m soak -s tests/integration/test_every_event.py`. Kills of CI are in
test_kills.py, test_study_kills.py and test_moments.py.
"""

import json
import multiprocessing
import os
import re
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from support.command import SMALL
from support.events import Events, kinds
from support.process import forked
from support.runs import GRADUAL, newest, taking, write_gradual
from support.studies import TIMED, without

RUN = [
    "run", "run_dir=work/out", "data.dir=data", *GRADUAL, "steps=4", "eval.every=2",
    "eval.patience=0", "checkpoint.every=2", "checkpoint.keep=1", "log.every=1",
    "schedule.stages.finetune.epochs=0.4", "schedule.stages.finetune.patience=0",
    "weighting.probe.steps=2",
]  # fmt: skip
STUDY = [
    "study", "study.dir=work/out", *(text for text in SMALL if text != "report=false"), "steps=2",
    "study.arms=[finetune,mt]", "study.seeds=1", "schedule.stages.finetune.epochs=0.5",
]  # fmt: skip
KINDS = {
    "cache": r"cache/",
    "figures": r"/figures/|/\.figures",
    "best model": r"/checkpoints/\.?best",
    "checkpoint": r"/checkpoints/",
    "export": r"/\.?model[./]|/\.?model$",
    "summary": r"summary\.json",
    "report": r"report\.(html|md)|\.csv|predictions",
    "metrics": r"metrics\.jsonl",
    "study": r"out/\.?(study|pairs|runs)\.",
    "configuration": r"\.hydra",
    "log": r"\.log$",
    "lock": r"\.lock",
    "directory": r"",
}
"""What an event is part of, by its path; the first that fits."""
OF_A_STUDY = ("study", "log")
TIMES = (*TIMED, "identity")
COMPARED = re.compile(
    r"metrics\.(jsonl|csv)|predictions-dev\.jsonl|model/.*|pairs\.csv|confusion\.csv|figures/.*"
)


def kind(path: str) -> str:
    return next(name for name, pattern in KINDS.items() if re.search(pattern, f"/{path}"))


def fork_runs() -> None:
    """Have a study fork its runs from its own process, so that their events are counted too."""
    fork = multiprocessing.get_context("fork")
    multiprocessing.get_context = lambda method=None: fork  # type: ignore[assignment]


def prepare(at: int = 0, log: Path | None = None, modules: Path | None = None) -> None:
    """Give the process that was forked a cache of its own, and count its events.

    Args:
        at: the event to be killed at; 0 for none.
        log: where events are written to.
        modules: where the names of imported modules are written to at the end.
    """
    import datasets  # noqa: PLC0415

    datasets.config.HF_DATASETS_CACHE = Path("work/cache").absolute()
    fork_runs()
    if at or log:
        Events(Path("work"), at, log)
    if modules:
        end = os._exit

        def write_names(status: int) -> None:
            with modules.open("a") as file:
                file.write("\n".join([*sys.modules, ""]))
            end(status)

        os._exit = write_names  # type: ignore[assignment]


def started(command: Sequence[str], said: Path, **events: Any) -> int:
    return forked(command, partial(prepare, **events), said)


def outcome(place: Path) -> dict[str, Any]:
    """All files of a run or study by name; the content of those that are not a matter of time."""
    found: dict[str, Any] = {}
    for path in sorted(place.rglob("*")):
        name = path.relative_to(place).as_posix()
        if path.is_dir():
            continue
        found[name] = None
        if path.name in ("summary.json", "study.json"):
            found[name] = without(json.loads(path.read_text()), TIMES)
        elif COMPARED.search(name) and "seconds" not in name:
            found[name] = path.read_bytes()
    return found


class Ordeal:
    """A command, what it comes to undisturbed, and what it comes to when it was killed."""

    def __init__(self, command: Sequence[str], here: Path) -> None:
        write_gradual(here / "data")
        self.command, self.here, self.said = command, here, here / "said"
        status = started(command, self.said, log=here / "log", modules=here / "modules")
        assert status == 0, (self.said / "err").read_text()
        self._import(sorted(set((here / "modules").read_text().split())))
        self.kinds = kinds(here / "log", kind)
        self.whole = outcome(here / "work/out")
        self.clean()

    def clean(self) -> None:
        shutil.rmtree(self.here / "work")

    def _import(self, names: Iterable[str]) -> None:
        """Import what the command imported, once for all that are forked from here on."""
        for name in names:
            if name.split(".")[0] in ("tartan", "transformers", "matplotlib", "scipy", "sklearn"):
                import_module(name)

    def killed_at(self, event: int) -> list[str]:
        """Kill the command at an event, start it again, and return what differs in the end."""
        killed = started(self.command, self.said, at=event)
        run = self.here / "work/out"
        first = newest(run)
        with taking() as taken:
            status = started(self.command, self.said)
        found = outcome(run)
        self.clean()
        if killed != -signal.SIGKILL or status:
            return [f"status {killed}, then {status}: {(self.said / 'err').read_text()}"]
        steps = list(range(first, found["summary.json"]["steps"])) if self.command is RUN else taken
        names = sorted({*found, *self.whole})
        different = [name for name in names if found.get(name, "-") != self.whole.get(name, "-")]
        return different if taken == steps else [*different, f"it took steps {taken}"]


@pytest.fixture(scope="module", params=["run", "study"])
def ordeal(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Ordeal]:
    """A run, or a study, that is going to be killed."""
    here = tmp_path_factory.mktemp(request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        yield Ordeal(RUN if request.param == "run" else STUDY, here)


def one_of_each(kinds: Sequence[str]) -> list[int]:
    """An event of each kind, counted from 1: the one in the middle of those it has."""
    places: dict[str, list[int]] = {}
    for number, name in enumerate(kinds, 1):
        places.setdefault(name, []).append(number)
    return sorted(numbers[len(numbers) // 2] for numbers in places.values())


def spread(total: int, stride: int = 29) -> list[int]:
    """All events, counted from 1, so that the first few are of all parts of a command."""
    return [event for start in range(stride) for event in range(1 + start, total + 1, stride)]


@pytest.mark.slow
def test_killed_at_some_events(ordeal: Ordeal):
    """One of each kind; of a study, those that a run does not have."""
    known = ordeal.kinds if ordeal.command is RUN else [k for k in ordeal.kinds if k in OF_A_STUDY]
    expected = set(KINDS) - set(OF_A_STUDY) if ordeal.command is RUN else set(OF_A_STUDY)
    assert set(known) == expected
    for event in one_of_each(ordeal.kinds):
        if ordeal.kinds[event - 1] in known:
            assert ordeal.killed_at(event) == [], (event, ordeal.kinds[event - 1])


@pytest.mark.soak
def test_killed_at_every_event(ordeal: Ordeal):
    total, different = len(ordeal.kinds), {}
    for done, event in enumerate(spread(total), 1):
        if found := ordeal.killed_at(event):
            different[event] = ordeal.kinds[event - 1], found
            print(event, *different[event], flush=True)
        if done % 10 == 0 or done == total:
            print(f"{done} of {total} events, {done - len(different)} alike", flush=True)
    print(f"{ordeal.command[0]}: {dict(Counter(ordeal.kinds))}")
    assert different == {}
