"""Files and directories are whole or not there, whatever dies while they are written."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tartan.errors import StorageError
from tartan.files import recover, write_text, write_whole, writing


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
