"""Training never stops because of its console, and its files are complete."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.command import SMALL, records, summary
from support.process import at_call, forked

RUN = ["run", "run_dir=out", *SMALL]
STUDY = ["study", "study.arms=[finetune]", "study.seeds=1", *SMALL]


def _print_to(descriptor: int, encoding: str = "utf-8") -> None:
    """Have this process print there, as a shell would have started it."""
    os.dup2(descriptor, 1)
    sys.stdout = open(1, "w", encoding=encoding, errors="strict", closefd=False)  # noqa: SIM115


def closed_pipe() -> None:
    """As of `| head -1`, when head has ended."""
    reader, writer = os.pipe()
    os.close(reader)
    _print_to(writer)


def full_device() -> None:
    _print_to(os.open("/dev/full", os.O_WRONLY))


def no_streams() -> None:
    """As of `>&- 2>&-`."""
    os.close(1)
    os.close(2)
    sys.stdout = sys.stderr = None


def ascii_only() -> None:
    _print_to(os.open("ascii", os.O_WRONLY | os.O_CREAT), "ascii")


def closed_terminal() -> None:
    """As of a terminal window that was closed."""
    master, slave = os.openpty()
    _print_to(slave)
    os.close(master)


CONSOLES = [closed_pipe, full_device, no_streams, ascii_only, closed_terminal]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("undisturbed")
    assert forked([*RUN, f"run_dir={place / 'out'}"]) == 0
    return place / "out"


@pytest.mark.parametrize("console", CONSOLES)
def test_a_run_is_complete_whatever_it_prints_to(
    undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, console: Callable[[], None]
):
    monkeypatch.chdir(tmp_path)
    assert forked(RUN, console, tmp_path / "said") == 0
    assert records(tmp_path / "out") == records(undisturbed)
    assert summary(tmp_path / "out")["test"] == summary(undisturbed)["test"]
    assert (tmp_path / "out/model/model.safetensors").is_file()
    full = console is full_device
    lost = "tartan: standard output cannot be written (No space left on device); everything else"
    said = (tmp_path / "said/err").read_text()
    assert said.startswith(lost) if full else said == ""
    assert said.count("\n") == int(full)


@pytest.mark.parametrize("console", [closed_pipe])
def test_a_study_is_complete_whatever_it_prints_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, console: Callable[[], None]
):
    monkeypatch.chdir(tmp_path)
    assert forked(STUDY, console, tmp_path / "said") == 0
    assert (tmp_path / "said/err").read_text() == ""
    assert "finished" in (tmp_path / "study/runs.csv").read_text()
    assert (tmp_path / "study/study.html").is_file()


@pytest.mark.parametrize("arguments", [["list"], ["check", "static"], ["--help"]])
@pytest.mark.parametrize("console", CONSOLES)
def test_a_command_that_only_prints_says_so_where_a_device_is_full_and_is_quiet_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, console: Callable[[], None],
    arguments: list[str],
):  # fmt: skip
    monkeypatch.chdir(tmp_path)
    full = console is full_device
    assert forked(arguments, console, tmp_path / "said") == (2 if full else 0)
    line = "tartan: standard output cannot be written (No space left on device)\n"
    assert (tmp_path / "said/err").read_text() == (line if full else "")


def test_a_lost_standard_error_does_not_stop_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full_error() -> None:
        os.dup2(os.open("/dev/full", os.O_WRONLY), 2)
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115

    monkeypatch.chdir(tmp_path)
    assert forked([*RUN, "steps=1"], full_error) == 0
    assert summary(tmp_path / "out")["steps"] > 0
    assert forked(["run", "steps=0"], full_error) == 2


def test_files_of_a_run_never_get_the_number_of_a_closed_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """What a library prints to descriptor 1 would go into such a file."""

    def print_below_python() -> None:
        no_streams()

        def noise() -> None:
            for number in (1, 2):
                os.write(number, b"noise")

        at_call("tartan.report.record:MetricsFile.write", 2, noise)

    monkeypatch.chdir(tmp_path)
    assert forked(RUN, print_below_python) == 0
    assert not any(b"noise" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_what_an_encoding_lacks_is_written_as_an_escape(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    assert forked([*RUN, "steps=1", "run_dir=läuft"], ascii_only) == 0
    assert r"/l\xe4uft: summary.json" in (tmp_path / "ascii").read_text()
