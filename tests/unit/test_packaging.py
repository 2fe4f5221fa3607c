"""What is declared is what is on disk."""

import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONFIGS = sorted(path.relative_to(ROOT / "configs") for path in ROOT.glob("configs/*/*.yaml"))


def test_every_package_is_declared():
    where = PROJECT["tool"]["setuptools"]["package-dir"]
    folders = {
        "tartan": ROOT / "tartan",
        **{name: ROOT / folder for name, folder in where.items()},
    }
    found = {
        ".".join((name, *init.parent.relative_to(folder).parts))
        for name, folder in folders.items()
        for init in folder.rglob("__init__.py")
    }
    assert sorted(found) == PROJECT["tool"]["setuptools"]["packages"]


def test_every_first_party_plugin_has_an_entry_point():
    declared = set(PROJECT["project"]["entry-points"]["tartan"].values())
    found = {
        ".".join(path.relative_to(ROOT / "plugins").with_suffix("").parts).removesuffix(".__init__")
        for path in ROOT.glob("plugins/**/*.py")
        if "@hookimpl" in path.read_text()
    }
    assert declared == found


@pytest.mark.parametrize("path", CONFIGS, ids=str)
def test_a_configuration_says_its_package_on_its_first_line(path: Path):
    """A comment above `# @package` disables it; an objective's file name is its name in a run."""
    lines = (ROOT / "configs" / path).read_text().splitlines()
    headers = [line for line in lines if line.startswith("# @package")]
    if path.parts[0] == "objectives":
        several = sum("composed@" in line for line in lines) > 1  # its defaults name the objectives
        assert lines[0] == "# @package objectives" + ("" if several else f".{path.stem}")
    assert headers in ([], [lines[0]])


def test_configurations_are_installed():
    installed = files("tartan.configs")
    assert (installed / "config.yaml").is_file()
    assert all((installed / str(path)).is_file() for path in CONFIGS)


def test_constraints_pin_every_dependency():
    pinned = {
        line.split("==")[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    project = PROJECT["project"]
    needed = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = {"".join(c if c.isalnum() or c in "-_" else " " for c in n).split()[0] for n in needed}
    assert {name.lower().replace("_", "-") for name in names} <= pinned
