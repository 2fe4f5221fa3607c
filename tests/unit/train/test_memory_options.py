"""Options that save memory change no gradient: static, META and Gramian."""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from support.command import SMALL
from support.experiments import built
from tartan.errors import ConfigError
from tartan.train.stage import Stage

LIMIT, CHECKPOINTED = "model.max_tokens_per_pass=60", "model.gradient_checkpointing=true"


def stage(*overrides: str) -> Stage:
    given = [
        "objectives=[mlm,simcse]",
        *SMALL,
        "precision=fp32",
        "model.layers=2",
        "weighting.probe.dropout=0",
    ]
    if "weighting=meta" not in overrides:
        given.pop()  # other weightings have no probe
    experiment = built(*given, *overrides)
    return Stage(experiment.setup, replace(experiment.stages["joint"], steps=20))


def measured(*overrides: str) -> list[torch.Tensor]:
    """The gradient of everything, losses and what the weighting measures in a step."""
    made = stage(*overrides)
    signals, _ = made.step.measure(0)
    parameters = made._setup.model.parameters()
    flat = torch.cat([p.grad.flatten() for p in parameters if p.grad is not None])
    found = (flat, signals.losses, signals.norms, signals.gramian, signals.dev, signals.dev_norm)
    return [value for value in found if value is not None]


@pytest.mark.parametrize("weighting", ["static", "meta", "pcgrad"])
def test_a_limit_on_tokens_changes_no_gradient(weighting: str):
    given = "model.dropout=0", f"weighting={weighting}"
    expected, found = measured(*given), measured(*given, LIMIT)
    assert len(found) == {"static": 2, "meta": 5, "pcgrad": 4}[weighting]
    for one, other in zip(found, expected, strict=True):
        assert_close(one, other, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("weighting", ["static", "meta"])
def test_checkpointed_layers_change_no_gradient_with_dropout(weighting: str):
    given = f"weighting={weighting}"
    for one, other in zip(measured(given, CHECKPOINTED), measured(given), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_steps_with_all_of_them_and_dropout_can_be_taken(precision: str):
    """The dev gradient is computed again as it was, without dropout."""
    made = stage("weighting=meta", CHECKPOINTED, LIMIT, f"precision={precision}")
    for step in range(2):
        made.take(step)


def test_a_limit_below_1_is_refused():
    with pytest.raises(
        ConfigError, match=r"model.max_tokens_per_pass must be at least 1, or null, got 0\."
    ):
        stage("weighting=static", "model.max_tokens_per_pass=0")
