"""A study in this process, with runs that train nothing: what becomes of their failures."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.command import SMALL
from support.studies import made_up, results
from tartan.cli import known
from tartan.cli import study as command
from tartan.errors import Interrupted, TartanError
from tartan.study import forecast, launch, study
from tartan.study.command_line import Typed
from tartan.study.process import WorkError

pytestmark = pytest.mark.heavy

FAILED = "no space left"


@pytest.fixture
def ending(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Runs of the first seed fail, and what is started then ends in an error."""
    known.register()

    def unmeasured(*_: Any, **__: Any) -> None:
        raise WorkError("not measured")

    def here(work: Callable[..., Any], *arguments: Any) -> Any:
        return work(*arguments)

    def end_in(error: BaseException) -> None:
        def run(_: object, __: str, directory: str, *___: Any, **____: Any) -> None:
            raise WorkError(FAILED) if directory.endswith("seed0") else error

        monkeypatch.setattr(launch, "apart", run)

    monkeypatch.setattr(forecast, "apart", unmeasured)
    monkeypatch.setattr(study, "apart", here)
    return end_in


def test_a_signal_does_not_hide_why_runs_before_it_failed(
    ending: Callable[[BaseException], None], tmp_path: Path
):
    typed = Typed.split([*SMALL, "study.arms=[mt]", "study.seeds=3", f"study.dir={tmp_path}"])
    ending(Interrupted(signal.SIGINT))
    with pytest.raises(Interrupted):
        study.study(typed)
    runs = {run["directory"]: (run["status"], run["error"]) for run in results(tmp_path)["runs"]}
    assert runs == {
        "mt/seed0": ("failed", FAILED), "mt/seed1": ("unfinished", None),
        "mt/seed2": ("unfinished", None),
    }  # fmt: skip
    assert f"mt/seed0 failed: {FAILED}" in (tmp_path / "study.md").read_text()


def test_nor_does_a_launcher_that_fails(
    ending: Callable[[BaseException], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """It fails when it has run the first job."""
    launched = launch.HydraPlugins.instantiate_launcher

    def instantiate(*given: Any, **named: Any) -> Any:
        launcher = launched(*given, **named)
        start = launcher.launch

        def fail(overrides: list[Any], initial_job_idx: int) -> None:
            start(overrides[:1], initial_job_idx)
            raise ValueError("no machine")

        launcher.launch = fail
        return launcher

    monkeypatch.setattr(launch.HydraPlugins, "instantiate_launcher", instantiate)
    typed = Typed.split([*SMALL, "study.arms=[mt]", "study.seeds=2", f"study.dir={tmp_path}"])
    ending(WorkError("not reached"))
    with pytest.raises(TartanError, match="hydra/launcher=basic failed: ValueError: no machine"):
        study.study(typed)
    runs = [(run["status"], run["error"]) for run in results(tmp_path)["runs"]]
    assert runs == [("failed", FAILED), ("unfinished", None)]


def test_the_status_says_that_something_failed_after_a_run_had_finished(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    finished = made_up().runs[:2]
    late = type(finished[0])(**{**vars(finished[0]), "error": FAILED})
    for runs, status in ((finished, 0), ((late, finished[1]), 1)):
        found = made_up(runs=runs)
        monkeypatch.setattr(study, "study", lambda _, found=found: found)
        assert command.main([]) == status
    assert capsys.readouterr().err == (
        "tartan: 1 of 2 runs failed (finetune/seed0): give the same command to try them again\n"
    )
