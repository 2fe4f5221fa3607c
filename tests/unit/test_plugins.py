"""Discovery: one broken plugin leaves the others usable, and is named with its distribution."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tartan import ConfigError, PluginError
from tartan.config.overrides import accept
from tartan.config.store import register
from tartan.plugins import discover

GOOD = """
from dataclasses import dataclass
import torch
from tartan import Needs, Weighting, hookimpl

@dataclass
class Options:
    strength: float = 1.0

class Uniform(Weighting):
    Options = Options
    needs = Needs.LOSSES
    def __init__(self, options, objectives):
        super().__init__(options, objectives)
        self.n = len(objectives)
    def weights(self):
        return torch.ones(self.n)

@hookimpl
def tartan_weightings():
    return {"NAME": Uniform}
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Put a distribution with one plugin module where Python finds it."""
    monkeypatch.syspath_prepend(str(tmp_path))
    modules = set(sys.modules)

    def put(distribution: str, source: str) -> None:
        module = distribution.replace("-", "_")
        (tmp_path / f"{module}.py").write_text(source)
        info = tmp_path / f"{module}-2.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 2.0\n"
        )
        (info / "entry_points.txt").write_text(f"[tartan]\n{module} = {module}\n")
        discover.cache_clear()

    yield put
    discover.cache_clear()
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def test_first_party_plugins_come_through_the_same_door():
    found = discover()
    assert {"classification", "mlm"} <= set(found.objectives)
    assert {"static", "meta"} <= set(found.weightings)
    assert found.weightings["meta"].distribution.startswith("tartan ")


def test_an_installed_plugin_is_found_and_names_its_distribution(install: Callable[..., None]):
    install("tartan-uniform", GOOD.replace("NAME", "uniform"))
    found = discover()
    assert found.weightings["uniform"].distribution == "tartan-uniform 2.0"
    assert found.problems == ()


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import nothing_by_this_name", "ModuleNotFoundError: No module named 'nothing_by_this"),
        ("raise SystemError('no licence')", "SystemError: no licence"),
        (GOOD.replace("NAME", "x").replace("def tartan_weightings", "def tartan_weighting"),
         "unknown hook 'tartan_weighting'"),
        (GOOD.replace("NAME", "Not A Name"), "use lower-case letters, digits and underscores"),
        (GOOD.replace("NAME", "x").replace("def weights(self)", "def weight(self)"),
         "gives 'x', which lacks weights"),
        (GOOD.replace("NAME", "x").replace("Uniform}", "dict}"),
         "not a subclass of tartan.Weighting"),
        (GOOD.replace("NAME", "x").replace("@dataclass\n", ""), "whose Options is not a dataclass"),
        (GOOD.replace("NAME", "x").replace("@dataclass\n", "@dataclass(frozen=True)\n"),
         "whose Options is frozen"),
        (GOOD.replace("NAME", "x").replace("strength: float", "batch_size: float"),
         "whose option batch_size is tartan's own name"),
        (GOOD.replace("NAME", "x").replace("float = 1.0", "float"), "has no default"),
        (GOOD.replace("NAME", "x").replace("float = 1.0", "object = object()"), "cannot read"),
        (GOOD.replace("NAME", "x") + "@hookimpl\ndef tartan_configs(): return 'nowhere.at.all'\n",
         "hook 'tartan_configs' failed: ModuleNotFoundError"),
        (GOOD.replace("NAME", "x").replace("@hookimpl\n", ""), "tartan_broken has no hook"),
        (GOOD.replace("NAME", "x") + "@hookimpl\ndef tartan_missing(): return 'pip install'\n",
         "hook 'tartan_missing' failed: AttributeError"),
        (GOOD.replace("NAME", "x").replace('return {"x": Uniform}', "1 / 0"), "ZeroDivisionError"),
    ],
)  # fmt: skip
def test_a_broken_plugin_is_blamed_and_the_others_work(
    install: Callable[..., None], source: str, reason: str
):
    install("tartan-broken", source)
    install("tartan-uniform", GOOD.replace("NAME", "uniform"))
    found = discover()
    assert {"static", "meta", "uniform"} <= set(found.weightings)
    (problem,) = found.problems
    assert problem.distribution == "tartan-broken 2.0"
    assert reason in str(problem)
    assert "\n" not in str(problem)


@pytest.mark.parametrize(
    "file",
    ["objectives/mlm.yaml", "objectives/tokens_aux.yaml", "primary/tokens.yaml",
     "weighting/mine.yaml"],
)  # fmt: skip
def test_a_configuration_with_the_name_of_a_plugin_is_a_problem(
    install: Callable[..., None], tmp_path: Path, file: str
):
    """It would change tartan's own, or load itself without end."""
    (tmp_path / "mine" / file).parent.mkdir(parents=True)
    (tmp_path / "mine/__init__.py").touch()
    (tmp_path / "mine" / file).write_text("lr: 9.0\n")
    hook = "@hookimpl\ndef tartan_configs(): return 'mine'\n"
    install("tartan-mine", GOOD.replace("NAME", "mine") + hook)
    found = discover()
    (problem,) = found.problems
    assert f"{file} has the name of a plugin: give it another" in str(problem)
    assert "mine" in found.weightings
    assert found.configs == ()


def test_a_name_that_two_plugins_claim_belongs_to_neither(install: Callable[..., None]):
    install("tartan-one", GOOD.replace("NAME", "uniform"))
    install("tartan-two", GOOD.replace("NAME", "uniform"))
    found = discover()
    assert "uniform" not in found.weightings
    assert {"static", "meta"} <= set(found.weightings)
    with pytest.raises(PluginError) as caught:
        found.weighting("uniform")
    assert "tartan-one 2.0" in str(caught.value)
    assert "tartan-two 2.0" in str(caught.value)
    (problem,) = found.problems
    assert "both provide the weighting 'uniform'" in str(problem)


def test_an_unknown_name_gets_the_nearest_and_the_broken(install: Callable[..., None]):
    install("tartan-broken", "import nothing_by_this_name")
    with pytest.raises(PluginError) as caught:
        discover().objective("mln")
    assert str(caught.value).startswith("no objective 'mln' is installed: did you mean 'mlm'?")
    assert "tartan-broken 2.0" in str(caught.value)


def test_a_plugin_tells_what_installs_those_that_it_lacks(install: Callable[..., None]):
    hook = "@hookimpl\ndef tartan_missing(): return {'soon_': 'pip install soon'}\n"
    install("tartan-soon", GOOD.replace("NAME", "x") + hook)
    with pytest.raises(PluginError) as refused:
        discover().weighting("soon_equal")
    said = "no weighting 'soon_equal' is installed: install it by pip install soon"
    assert str(refused.value) == said
    register(discover())
    with pytest.raises(ConfigError) as refused_choice:
        accept(["weighting=soon_equal"])
    said = "weighting=soon_equal: no such option; install it by pip install soon"
    assert str(refused_choice.value) == said
