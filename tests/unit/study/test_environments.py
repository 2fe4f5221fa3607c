"""GPUs that parallel runs of a study reserve."""

import tempfile
from pathlib import Path

import pytest

from tartan.errors import StorageError
from tartan.study.environments import VISIBLE, reserved


@pytest.fixture
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the locks of three GPUs are."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv(VISIBLE, "0,1,2")
    with reserved(1):
        (found,) = tmp_path.iterdir()
    return found


def test_runs_beside_each_other_reserve_different_gpus(locks: Path):
    with reserved(1) as one, reserved(2) as two:
        assert sorted([*one, *two]) == ["0", "1", "2"]


def test_what_another_user_planted_is_not_written(locks: Path, tmp_path: Path):
    precious = tmp_path / "precious"
    precious.write_text("kept")
    (locks / "0-0").unlink(missing_ok=True)
    (locks / "0-0").symlink_to(precious)
    with pytest.raises(StorageError, match="0-0"), reserved(1):
        pass
    assert precious.read_text() == "kept"
    locks.rename(tmp_path / "elsewhere")
    locks.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="belongs to another user"), reserved(1):
        pass
