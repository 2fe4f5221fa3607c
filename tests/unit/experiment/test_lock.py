"""One process a directory, on file systems with locks and without."""

import errno
import fcntl
import json
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tartan.errors import BusyError, StorageError
from tartan.experiment.lock import holder, locked


@pytest.fixture(params=["ENOLCK", "ENOTSUP", "EOPNOTSUPP", "EINVAL", "ENOSYS"])
def _no_locks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(getattr(errno, request.param), "no locks here")

    monkeypatch.setattr(fcntl, "flock", refuse)


def named(pid: int, host: str) -> str:
    return json.dumps({"pid": pid, "host": host})


def test_the_holder_of_a_directory_is_one_that_has_locked_it(tmp_path: Path):
    """A killed process leaves its number, which may be another's by now."""
    (tmp_path / ".lock").write_text(named(os.getppid(), socket.gethostname()))
    assert holder(tmp_path) is None
    with (tmp_path / ".lock").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert holder(tmp_path) == os.getppid()
    assert holder(tmp_path / "none") is None


@pytest.mark.usefixtures("_no_locks")
def test_without_locks_the_holder_is_one_that_runs(tmp_path: Path):
    (tmp_path / ".lock").write_text(named(os.getppid(), socket.gethostname()))
    assert holder(tmp_path) == os.getppid()


def test_a_lock_needs_no_notice(tmp_path: Path):
    with locked(tmp_path / "run") as notices:
        assert notices == []
        with pytest.raises(BusyError, match=f"in use by process {os.getpid()} on "):
            locked(tmp_path / "run").__enter__()
    assert list((tmp_path / "run").iterdir()) == []


@pytest.mark.usefixtures("_no_locks")
def test_without_locks_there_is_a_notice(tmp_path: Path):
    with locked(tmp_path) as notices:
        assert len(notices) == 1
        assert f"The file system of {tmp_path} has no locks" in notices[0]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("_no_locks")
def test_without_locks_a_process_that_runs_here_keeps_its_directory(tmp_path: Path):
    (tmp_path / ".lock").write_text(named(os.getppid(), socket.gethostname()))
    with pytest.raises(BusyError, match=f"in use by process {os.getppid()} on "):
        locked(tmp_path).__enter__()
    assert (tmp_path / ".lock").exists()


@pytest.mark.usefixtures("_no_locks")
@pytest.mark.parametrize(
    "left", ["", "{", "[]", named(1 << 22, socket.gethostname()), named(1, "elsewhere")]
)
def test_without_locks_what_a_dead_process_left_is_no_hindrance(tmp_path: Path, left: str):
    (tmp_path / ".lock").write_text(left)
    with locked(tmp_path) as notices:
        assert len(notices) == 1


def link(path: Path, precious: Path) -> None:
    path.symlink_to(precious)


def hard_link(path: Path, precious: Path) -> None:
    path.hardlink_to(precious)


def dangling(path: Path, precious: Path) -> None:
    path.symlink_to(precious.with_name("nothing"))


def fifo(path: Path, _: Path) -> None:
    os.mkfifo(path)


def directory(path: Path, _: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("place", [link, hard_link, dangling, fifo, directory])
def test_what_is_no_file_of_ours_is_refused_and_left_alone(tmp_path: Path, place):
    (tmp_path / "run").mkdir()
    (tmp_path / "precious").write_text("mine")
    place(tmp_path / "run/.lock", tmp_path / "precious")
    with pytest.raises(StorageError, match=r"\.lock is a link or not a regular file"):
        locked(tmp_path / "run").__enter__()
    assert (tmp_path / "precious").read_text() == "mine"
    assert not (tmp_path / "nothing").exists()
    assert os.path.lexists(tmp_path / "run/.lock")


def hold(run: Path, act: Callable[[], object]) -> None:
    with locked(run, "study.dir"):
        act()


@pytest.mark.parametrize("how", [shutil.rmtree, lambda run: run.rename(run.parent / "elsewhere")])
def test_a_directory_that_is_removed_or_renamed_meanwhile_is_reported(tmp_path: Path, how):
    run = tmp_path / "run"
    line = r"was removed or renamed while it was in use: .* or choose another study\.dir"
    with pytest.raises(StorageError, match=line):
        hold(run, lambda: how(run))
    assert not run.exists()


def test_the_lock_of_another_process_in_a_new_directory_of_the_name_stays(tmp_path: Path):
    run = tmp_path / "run"

    def replace() -> None:
        run.rename(tmp_path / "elsewhere")
        run.mkdir()
        (run / ".lock").write_text("another's")

    with pytest.raises(StorageError, match="was removed or renamed"):
        hold(run, replace)
    assert (run / ".lock").read_text() == "another's"


def test_an_error_of_the_block_is_the_one_that_is_reported(tmp_path: Path):
    run = tmp_path / "run"
    with pytest.raises(NotADirectoryError):
        hold(run, lambda: (shutil.rmtree(run), run.write_text(""), list((run / "a").iterdir())))
