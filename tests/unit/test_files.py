"""Files and directories are complete or absent, whatever dies while they are written."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import pytest

from tartan.errors import StorageError
from tartan.files import open_own, publish, recover, write_text, write_whole, writing


def tree(directory: Path) -> dict[str, str]:
    paths = (path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_text() for path in paths}


def one(directory: Path) -> None:
    (directory / "a").write_text("one")


def two(directory: Path) -> None:
    (directory / "a").write_text("two")
    (directory / "b").write_text("two")


def test_a_directory_is_replaced_as_a_whole(tmp_path: Path):
    write_whole(tmp_path / "it", two)
    write_whole(tmp_path / "it", one)
    assert tree(tmp_path) == {"it/a": "one"}


def test_what_fails_leaves_all_as_it_was(tmp_path: Path):
    def fail(directory: Path) -> None:
        two(directory)
        raise KeyboardInterrupt

    write_whole(tmp_path / "it", one)
    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "it", fail)
    assert tree(tmp_path) == {"it/a": "one"}


@pytest.mark.parametrize(
    ("left", "recovered"),
    [
        ({".it.partial": two, "it": one}, "one"),
        ({".it.partial": two, ".it.replaced": one}, "one"),
        ({"it": two, ".it.replaced": one}, "two"),
        ({".it.partial": two}, None),
    ],
)
def test_what_a_death_leaves_is_recovered_from(
    tmp_path: Path, left: dict[str, Callable[[Path], None]], recovered: str | None
):
    """Before the first rename, between the two, after both; and where nothing was before."""
    for name, fill in left.items():
        (tmp_path / name).mkdir()
        fill(tmp_path / name)
    recover(tmp_path)
    assert tree(tmp_path).get("it/a") == recovered
    assert [path.name for path in tmp_path.iterdir()] == (["it"] if recovered else [])


def test_a_file_is_replaced_as_a_whole(tmp_path: Path):
    write_text(tmp_path / "it", "one")
    write_text(tmp_path / "it", "two")
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "it", "\ud800")
    assert tree(tmp_path) == {"it": "two"}


def test_what_cannot_be_written_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"file/below cannot be written \(Not a directory\)"):
        write_text(tmp_path / "file" / "below", "text")


def test_other_errors_than_the_systems_pass():
    with pytest.raises(RuntimeError, match="shapes"), writing(Path("it")):
        raise RuntimeError("shapes do not match")


def link(path: Path, precious: Path) -> None:
    path.symlink_to(precious)


def hard_link(path: Path, precious: Path) -> None:
    path.hardlink_to(precious)


def fifo(path: Path, _: Path) -> None:
    os.mkfifo(path)


PLACED = pytest.mark.parametrize("place", [link, hard_link, fifo])


@PLACED
@pytest.mark.parametrize("name", ["it", ".it.partial"])
def test_a_link_in_place_of_a_file_is_replaced_and_not_followed(tmp_path: Path, place, name: str):
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "run").mkdir()
    place(tmp_path / "run" / name, tmp_path / "precious")
    write_text(tmp_path / "run/it", "one")
    assert tree(tmp_path) == {"precious": "mine", "run/it": "one"}
    assert not (tmp_path / "run/it").is_symlink()


@pytest.mark.parametrize("name", ["it", ".it.partial", ".it.replaced"])
def test_a_link_in_place_of_a_directory_is_replaced_and_not_followed(tmp_path: Path, name: str):
    (tmp_path / "precious").mkdir()
    one(tmp_path / "precious")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / name).symlink_to(tmp_path / "precious")
    recover(tmp_path / "run")
    write_whole(tmp_path / "run/it", two)
    assert tree(tmp_path) == {"precious/a": "one", "run/it/a": "two", "run/it/b": "two"}


@PLACED
def test_a_file_that_is_added_to_is_a_file_of_ours(tmp_path: Path, place):
    (tmp_path / "precious").write_text("mine")
    place(tmp_path / "log", tmp_path / "precious")
    with pytest.raises(StorageError, match="log is a link or not a regular file"):
        open_own(tmp_path / "log")
    assert (tmp_path / "precious").read_text() == "mine"


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o002, 0o077])
def test_modes_are_as_the_umask_says(tmp_path: Path, umask: int):
    def private(directory: Path) -> None:
        one(directory)
        (directory / "a").chmod(0o600)  # as safetensors does

    before = os.umask(umask)
    try:
        write_whole(tmp_path / "it", private)
        write_text(tmp_path / "text", "")
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")}
    assert modes == {"it": 0o777 & ~umask, "a": 0o666 & ~umask, "text": 0o666 & ~umask}


def test_a_directory_that_was_removed_is_not_made_again(tmp_path: Path):
    for write in (lambda: write_text(tmp_path / "gone/it", ""),
                  lambda: write_whole(tmp_path / "gone/it", one)):  # fmt: skip
        with pytest.raises(StorageError, match="its directory was removed, renamed or unmounted"):
            write()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [None, errno.EPERM, errno.EOPNOTSUPP, errno.EINVAL])
def test_a_file_gets_its_name_and_never_that_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int | None
):
    """With hard links, and where a file system has none."""
    if number is not None:
        monkeypatch.setattr(os, "link", Mock(side_effect=OSError(number, "no hard links")))
    beside, path = tmp_path / "beside", tmp_path / "it"
    beside.write_text("new")
    publish(beside, path)
    assert tree(tmp_path) == {"it": "new"}
    beside.write_text("newer")
    with pytest.raises(FileExistsError):
        publish(beside, path)
    assert tree(tmp_path) == {"it": "new", "beside": "newer"}


def test_a_name_that_was_taken_in_vain_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "beside").write_text("new")
    refuse = Mock(side_effect=PermissionError(errno.EPERM, "not permitted"))
    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(PermissionError):
        publish(tmp_path / "beside", tmp_path / "it")
    assert tree(tmp_path) == {"beside": "new"}
