import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tartan.locking import try_lock


def test_a_lock_excludes_every_other_until_its_file_is_closed(tmp_path: Path):
    path = tmp_path / "lock"
    with path.open("a") as one, path.open("a") as other:
        assert try_lock(one)
        with pytest.raises(BlockingIOError):
            try_lock(other)
        one.close()
        assert try_lock(other)


def test_a_process_that_ends_releases_its_lock(tmp_path: Path):
    script = "import sys; from tartan.locking import try_lock; try_lock(open(sys.argv[1], 'a'))"
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "lock")], check=True)
    with (tmp_path / "lock").open("a") as file:
        assert try_lock(file)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
):
    monkeypatch.setattr(fcntl, "flock", refusing(number))
    with (tmp_path / "lock").open("a") as file:
        assert try_lock(file) is False


def test_any_other_error_is_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fcntl, "flock", refusing(errno.EIO))
    with (tmp_path / "lock").open("a") as file, pytest.raises(OSError, match="Input/output error"):
        try_lock(file)


def refusing(number: int):
    """A `flock` that fails as a system does."""

    def flock(file: object, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    return flock
