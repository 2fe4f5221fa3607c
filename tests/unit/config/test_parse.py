"""What OmegaConf refuses is one line that names the key."""

from dataclasses import dataclass

import pytest
from omegaconf import OmegaConf

from tartan.config.parse import options, resolved
from tartan.config.schema import Config
from tartan.errors import ConfigError


@dataclass
class Demanding:
    share: float


@pytest.mark.parametrize("causes", ["0", "1"])  # as under a debugger, or a measure of coverage
def test_it_says_the_same_whether_or_not_omegaconf_keeps_causes(
    causes: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OC_CAUSE", causes)
    with pytest.raises(ConfigError) as refused:
        options(Demanding, {}, "objectives.mine")
    assert str(refused.value) == ("objectives.mine.share must be set: it has no default")
    with pytest.raises(ConfigError, match=r"^objectives\.mine\.share must be a number, got much$"):
        options(Demanding, {"share": "much"}, "objectives.mine")


def test_a_value_that_is_missing_is_one_line():
    with pytest.raises(ConfigError, match=r"^data\.share must be set: it has no default$"):
        options(Demanding, {"share": "???"}, "data")


@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
def test_a_number_that_is_not_finite_is_refused_wherever_it_is(number: str):
    composed = OmegaConf.create({"a": {"b": [1.0, {"c": float(number)}]}})
    with pytest.raises(ConfigError, match=rf"^a\.b\.1\.c={number}: give a finite number$"):
        resolved(composed)


@pytest.mark.parametrize(
    ("given", "meant"), [(True, "true"), (False, "false"), ("auto", "auto"), ("True", "true")]
)
def test_compile_is_a_word_or_a_truth_value(given: bool | str, meant: str):
    merged = OmegaConf.merge(OmegaConf.structured(Config), {"compile": given})
    assert Config(compile=merged.compile).compile == meant
    assert Config().compile == "auto"


def test_another_word_for_compile_is_refused():
    with pytest.raises(ConfigError, match=r"^compile=often: "):
        Config(compile="often")
