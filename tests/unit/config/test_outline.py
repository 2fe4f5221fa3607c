"""An outline is what plugins' dataclasses say; it is made again when anything has changed."""

import json
import os
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from omegaconf import OmegaConf

from tartan.cli.survey import survey
from tartan.config import outline_file
from tartan.config.entries import Entry
from tartan.config.options_help import options_help
from tartan.config.outline import NotPlainError, Outline, from_json, to_json
from tartan.config.store import entries
from tartan.plugins import discover
from tartan.study.options import ENTRY

REAL = {(each.group, each.name): each for each in (*entries(discover()), ENTRY)}


@dataclass
class Inner:
    """Nested.

    Attributes:
        rate: of something,
            in two lines.
    """

    rate: float = 1.0


@dataclass
class Options:
    """Options of every kind.

    Attributes:
        names: some.
    """

    names: list[str] = field(default_factory=lambda: ["a"])
    weights: dict[str, float] = field(default_factory=dict)
    inner: Inner = field(default_factory=lambda: Inner(2.0))
    many: dict[str, Inner] = field(default_factory=dict)
    limit: int | None = None
    anything: Any = "x"
    flag: bool = True


def restored(cls: type) -> type:
    """Return a dataclass after its way through JSON."""
    outline = Outline((Entry("x", cls),), (), ())
    return from_json(json.loads(json.dumps(to_json(outline)))).entries[0].node


@pytest.mark.parametrize("entry", REAL.values(), ids=str)
def test_every_configuration_is_the_same_after_its_way_through_json(entry: Entry):
    there = restored(entry.node)
    before, after = OmegaConf.structured(entry.node), OmegaConf.structured(there)
    assert OmegaConf.to_container(before) == OmegaConf.to_container(after)
    assert options_help(there) == options_help(entry.node)
    assert [f.name for f in fields(there)] == [f.name for f in fields(entry.node)]


def test_types_and_defaults_are_kept():
    there = restored(Options)
    hints = get_type_hints(there)
    assert hints["names"] == list[str]
    assert hints["weights"] == dict[str, float]
    assert hints["limit"] == int | None
    assert hints["anything"] is Any
    made = there()
    assert (made.names, made.inner.rate, made.flag) == (["a"], 2.0, True)
    made.names.append("b")
    assert there().names == ["a"]
    assert options_help(hints["inner"]) == {"rate": "of something, in two lines."}


def test_what_json_has_not_is_refused():
    @dataclass
    class Tuples:
        size: tuple[int, int] = (1, 2)

    with pytest.raises(NotPlainError, match="the type"):
        restored(Tuples)


@pytest.mark.parametrize("entry", REAL.values(), ids=str)
def test_every_option_says_what_it_means(entry: Entry):
    assert [name for name, meaning in options_help(entry.node).items() if not meaning] == []


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TARTAN_CACHE", str(tmp_path))
    return tmp_path


def test_an_outline_is_read_back(cache: Path):
    made = survey()
    found = outline_file.load()
    assert found is not None
    assert [(e.group, e.name) for e in found.entries] == [(e.group, e.name) for e in made.entries]
    assert "meta" in found.plugins


def test_a_file_that_changes_makes_an_outline_old(cache: Path):
    survey()
    (path,) = cache.glob("outline-*.json")
    content = json.loads(path.read_text())
    changed = next(name for name in content["files"] if name.endswith("mlm.py"))
    content["files"][changed][0] += 1
    path.write_text(json.dumps(content))
    assert outline_file.load() is None


def test_what_is_installed_later_makes_an_outline_old(
    cache: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
):
    survey()
    site = tmp_path_factory.mktemp("site")
    monkeypatch.syspath_prepend(str(site))
    assert outline_file.load() is not None
    (site / "tartan_new-1.dist-info").mkdir()
    assert outline_file.load() is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"files": {}, "classes": 3}', "\xff"])
def test_a_damaged_outline_is_made_again(cache: Path, text: str):
    survey()
    (path,) = cache.glob("outline-*.json")
    path.write_text(text)
    assert outline_file.load() is None


def test_a_directory_that_cannot_be_written_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TARTAN_CACHE", str(tmp_path / "file/below"))
    assert survey().entries
    assert outline_file.load() is None


def test_few_outlines_are_kept(cache: Path):
    for number in range(20):
        path = cache / f"outline-{number}.json"
        path.write_text("{}")
        os.utime(path, (number, number))
    survey()
    assert len(list(cache.glob("outline-*.json"))) == outline_file.KEPT
