"""Presets of composed objectives: known points, several in one run, and AANG's weights of them."""

import pytest

from support.command import SMALL
from support.experiments import built, configured
from tartan.config.schema import Config
from tartan.train.stage import Stage
from tartan_weightings.meta_factored import MetaFactored

POINTS = {
    "composed_bert": ("domain", "bert", "both", "original"),
    "composed_tapt": ("task", "bert", "both", "original"),
    "composed_gpt": ("task", "none", "left_to_right", "next"),
    "composed_xlnet": ("task", "none", "random", "next"),
    "composed_denoise": ("task", "replace", "both", "all"),
}


def composed(*overrides: str) -> Config:
    return configured(*SMALL, *overrides)


def test_presets_are_the_points_of_their_names_and_can_be_combined():
    found = composed(f"objectives=[{','.join(POINTS)}]").objectives
    keys = ("corpus", "transform", "attention", "output")
    assert {name: tuple(part[key] for key in keys) for name, part in found.items()} == POINTS
    assert {part["plugin"] for part in found.values()} == {"composed"}


def test_an_objective_is_used_twice_under_another_name():
    found = composed(
        "objectives=[composed]", "+objectives@objectives.mine=composed",
        "objectives.mine.attention=random",
    )  # fmt: skip
    parts = found.objectives
    assert [parts[name]["attention"] for name in ("composed", "mine")] == ["both", "random"]


def test_aang_is_twelve_objectives_whose_logits_share_their_choices():
    experiment = built(*SMALL, "objectives=[aang]", "weighting=meta_factored")
    stage = Stage(experiment.setup, experiment.stages["joint"])
    assert len(stage.names) == 13
    weighting = stage.weighting
    assert isinstance(weighting, MetaFactored)
    # data: 1, transforms: 5, attentions: 4, outputs: 4; each objective has one of each.
    assert weighting.shared.shape == (14,)
    assert weighting._belongs.sum(1).tolist() == [4] * 12
    cost = stage.cost
    # In every third step 4 passes apart, and 2 forward and 1 backward for the dev gradient.
    assert cost.expected
    assert cost.backwards == pytest.approx((5 + 5 + 4 * _between(stage)) / 6)
    assert cost.copies == 3


def _between(stage: Stage) -> float:
    """The mean backward passes of a step that is not measured: a joint one, and causal ones."""
    chances = 3 / 12
    apart = sum(not stage._setup.model.objective(name).passes.shared for name in stage.names)
    return 1 + chances * apart
