"""What README.md and docs/ show works: programs run, commands and options are accepted."""

import doctest
import importlib
import pkgutil
import re
import shlex
import tomllib
from dataclasses import fields
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

import tartan
import tartan.testing
import tartan_objectives
import tartan_weightings
from tartan import Signals
from tartan.config.overrides import accept
from tartan.config.store import register
from tartan.plugins import discover
from tartan.study import options
from tartan.study.command_line import Typed
from tartan.study.launch import check_launcher
from tartan.study.plan import arms, read_options
from tartan.testing import WeightingContract
from tools import prose

pytestmark = pytest.mark.heavy

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
TEXTS = {str(page.relative_to(ROOT)): page.read_text(encoding="utf-8") for page in PAGES}
PROGRAMS = {
    name: "\n".join(blocks)
    for name, text in TEXTS.items()
    if (blocks := re.findall(r"```python\n(.*?)```", text, re.DOTALL))
}
[DIFF] = re.findall(r"```diff\n(.*?)```", TEXTS["README.md"], re.DOTALL)
OPTIONS = re.findall(r"^\| (`.*?) \|", TEXTS["docs/options.md"], re.MULTILINE)
OF_STUDIES = [row for row in OPTIONS if "study." in row or "hydra/" in row]
ADDRESSES = re.findall(r"^::: (\S+)", "\n".join(TEXTS.values()), re.MULTILINE)
PACKAGES = (tartan, tartan_objectives, tartan_weightings)
MODULES = [
    module.name
    for package in PACKAGES
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if module.name != "tartan.__main__"
]


def test_extras_are_installed_in_one_form_and_exist():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pages = "\n".join(text for name, text in TEXTS.items() if name.startswith("docs/"))
    named = set(re.findall(r"'tartan\[(\w+)\]'", pages))
    assert {"joblib", "onnx", "optuna", "peft", "submitit", "torchjd"} <= named
    assert named <= project["optional-dependencies"].keys()
    assert "'.[" not in pages


def program(page: str) -> dict[str, Any]:
    """Run the programs of a page, and return the names that they define."""
    scope: dict[str, Any] = {"__name__": "page"}
    exec(compile(PROGRAMS[page], page, "exec"), scope)
    return scope


def typed(command: str) -> list[str]:
    """Return the arguments of each `python -m tartan COMMAND` that a page shows."""
    shown = rf"python -m tartan {command} ((?:[^`\n]*\\\n)*[^`\n]*)"
    found = [line for text in TEXTS.values() for line in re.findall(shown, text)]
    return list(dict.fromkeys(line.replace("\\\n", " ").split("  #")[0] for line in found))


RUNS = [words for words in typed("run") if not re.search(r"mine\b|length|--help|<|\.\.\.", words)]
OPTIONS_OF_STUDIES = [shown for row in OF_STUDIES for shown in re.findall("`(.*?)`", row)]
STUDIES = [*typed("study"), " ".join(OPTIONS_OF_STUDIES)]


@pytest.fixture(autouse=True, scope="module")
def plugins() -> None:
    register(discover())
    options.register()


def test_there_is_something_to_test():
    assert len(RUNS) >= 2
    assert len(PROGRAMS) >= 2
    assert len(STUDIES) >= 3
    assert len(OPTIONS_OF_STUDIES) >= 6
    assert len(OPTIONS) >= 30


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_programs_of_a_page_run(name: str):
    assert program(name)


@pytest.mark.parametrize(("sign", "other"), [("-", "+"), ("+", "-")], ids=["before", "after"])
def test_the_loop_runs_before_and_after_the_change(sign: str, other: str):
    lines = [line for line in DIFF.splitlines() if not line.startswith(other)]
    scope: dict[str, object] = {}
    exec(compile("\n".join(line[1:] for line in lines), f"README.md {sign}", "exec"), scope)
    assert ("signals" in scope) == (sign == "+")


@pytest.mark.parametrize("words", RUNS)
def test_a_command_is_accepted(words: str):
    split = shlex.split(words)
    accept([word for word in split if not word.startswith("-")], multirun="-m" in split)


@pytest.mark.parametrize("words", STUDIES)
def test_a_study_is_accepted(words: str):
    given = Typed.split(w for w in shlex.split(words) if not w.startswith("submitit"))
    assert arms(read_options(given), given)
    check_launcher(given)


def overrides() -> tuple[list[str], list[str]]:
    """Return what the table shows: choices of groups, and values of options."""
    rows = (row for row in OPTIONS if row not in OF_STUDIES)
    shown = [
        word for row in rows for code in re.findall("`(.*?)`", row) for word in shlex.split(code)
    ]
    groups = ("objectives=", "weighting=", "primary=", "schedule=", "data=", "model=")
    chosen = [word for word in shown if word.startswith(groups)]
    return chosen, [word for word in shown if word not in chosen]


@pytest.mark.parametrize("choice", overrides()[0])
def test_a_choice_of_the_table_is_a_choice(choice: str):
    accept([choice])


def test_the_options_of_the_table_are_options():
    trained = ("model.lora.", "model.freeze=")  # these are options of a checkpoint
    shown = overrides()[1]
    others = [word for word in shown if not word.startswith(trained)]
    accept(["objectives=[mlm]", "weighting=meta", *others])
    accept(["model=auto", "model.name=x", *(set(shown) - set(others))])


def test_the_defaults_that_the_table_shows_are_the_defaults():
    with initialize_config_module("tartan.configs", version_base="1.3"):
        config = compose("config", ["objectives=[mlm]", "weighting=meta"])
    for name in ("device", "precision", "resume", "report_examples"):
        assert f"`{name}={OmegaConf.select(config, name)}`" in OPTIONS


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_of_docstrings_run(module: str):
    assert doctest.testmod(importlib.import_module(module)).failed == 0


@pytest.mark.parametrize("module", [tartan, tartan.testing], ids=lambda module: module.__name__)
def test_the_reference_has_every_public_name(module):
    shown = [address.rpartition(".") for address in ADDRESSES]
    shown = [name for package, _, name in shown if package == module.__name__]
    assert sorted(shown) == sorted(module.__all__)


def test_the_page_of_plugins_has_every_signal():
    section = TEXTS["docs/plugins.md"].partition("| field of `Signals`")[2].partition("\n\n")[0]
    shown = re.findall(r"^\| `(\w+)`", section, re.MULTILINE)
    assert shown == [each.name for each in fields(Signals)]


def test_the_architecture_names_every_folder_and_module():
    [tree] = re.findall(r"## Folders\n\n```\n(.*?)```", TEXTS["docs/architecture.md"], re.DOTALL)
    outer = {line.split("/")[0] for line in tree.splitlines() if not line.startswith(" ")}
    inner = set(re.findall(r"^  (\w+(?:\.py|/)) ", tree, re.MULTILINE))
    parts = (path for path in (ROOT / "tartan").iterdir() if not path.name.startswith(("_", ".")))
    assert inner == {f"{path.name}/" if path.is_dir() else path.name for path in parts} - {
        "py.typed"
    }
    assert [name for name in sorted(outer) if not (ROOT / name).is_dir()] == []


def test_the_files_that_the_architecture_names_exist():
    text = TEXTS["docs/architecture.md"]
    named = set(re.findall(r"`((?:\w+/)*\w+\.py)`", text.split("## Where to change")[0]))
    files = [path.as_posix() for path in (ROOT / "tartan").rglob("*.py")]
    assert len(named) >= 20
    assert [name for name in named if not any(f.endswith(f"/{name}") for f in files)] == []


def test_the_architecture_gives_a_reason_for_every_dependency():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    listed = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    names = {re.match(r"[\w-]+", dependency).group() for dependency in listed}
    reasons = TEXTS["docs/architecture.md"].split("## Dependencies")[1]
    assert [name for name in sorted(names) if name not in reasons] == []


def test_the_text_is_plain_english():
    assert [str(finding) for file in prose.files([]) for finding in prose.check(file)] == []


class TestLossShare(WeightingContract):
    """The weighting that docs/plugins.md writes keeps the contract."""

    weighting = program("docs/plugins.md")["LossShare"]


def test_the_readme_is_short():
    assert len(TEXTS["README.md"].splitlines()) <= 120
    assert len(TEXTS["docs/performance.md"].splitlines()) <= 100
