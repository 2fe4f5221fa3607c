"""Data and model options are defined once, in their dataclasses: no YAML file repeats them."""

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from tartan import ConfigError
from tartan.config.options_help import options_help
from tartan.config.overrides import accept
from tartan.config.store import MODELS, register
from tartan.data.label_subset import LabelledOptions
from tartan.data.sources import SOURCES
from tartan.plugins import discover
from tartan_weightings.meta import MetaOptions

CONFIGS = Path(__file__).parents[3] / "configs"
PRESETS = [path for group in ("data", "model") for path in sorted((CONFIGS / group).glob("*.yaml"))]


@pytest.fixture(scope="module", autouse=True)
def _registered() -> None:
    register(discover())


def composed(*overrides: str) -> Any:
    accepted = accept(overrides)
    with initialize_config_module("tartan.configs", version_base="1.3"):
        return OmegaConf.to_container(compose("config", accepted))


@pytest.mark.parametrize("name", SOURCES)
def test_a_sources_configuration_is_its_dataclass(name: str):
    defaults = OmegaConf.to_container(OmegaConf.structured(SOURCES[name].options))
    shared = {"metric": None, "labelled": None, "labelled_seed": 0}
    assert composed(f"data={name}")["data"] == {"source": name, **shared, **defaults}


@pytest.mark.parametrize("kind", MODELS)
def test_a_models_configuration_is_its_dataclass(kind: str):
    defaults = OmegaConf.to_container(OmegaConf.structured(MODELS[kind]))
    assert composed(f"model={kind}")["model"] == defaults


@pytest.mark.parametrize("cls", [*MODELS.values(), *(SOURCES[name].options for name in SOURCES),
                                 LabelledOptions, MetaOptions])  # fmt: skip
def test_help_names_what_is_typed_on_a_command_line(cls: type):
    """No value or class of Python."""
    for text in options_help(cls).values():
        assert not re.search(r"\bNone\b|Options|`[A-Z]+`", text)


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_preset_repeats_no_default(path: Path):
    chosen = composed(f"{path.parent.name}={path.stem}")[path.parent.name]
    cls = SOURCES[chosen["source"]].options if "source" in chosen else MODELS[chosen["kind"]]
    options = {option.name for option in fields(cls)}
    written = OmegaConf.to_container(OmegaConf.load(path))
    assert isinstance(written, dict)
    repeated = {k for k, v in written.items() if k in options and v == getattr(cls(), str(k))}
    assert repeated == set()


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (["data.clases=3"], "data.clases: no such option; did you mean 'classes'?"),
        (["data=sciie", "data.text_filed=x"], "did you mean 'text_field'?"),
        (["data=hub", "data.splits.trian=x"], "data.splits.trian: no such option; did you mean"),
        (["data.classes=many"], "data.classes must be a whole number, got many"),
        (["model.layer=3"], "model.layer: no such option; did you mean 'layers'?"),
        (
            ["+schedule.stages.extra={objectives: all}"],
            "schedule.stages.extra: no such option; "
            "choose from: finetune, joint; add one with 'schedule.stages={extra: {...}}'",
        ),
        (["model=minilm", "model.layers=3"], "model.layers: no such option; choose from"),
        (["model.layers=some"], "model.layers must be a whole number, got some"),
    ],
)
def test_a_wrong_option_is_refused_before_anything_is_read(overrides: list[str], line: str):
    with pytest.raises(ConfigError) as caught:
        accept(overrides)
    assert line in str(caught.value)
