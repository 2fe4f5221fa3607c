"""What META learns: text that helps the end task counts for more than noise."""

from collections.abc import Sequence
from copy import deepcopy

import pytest
import torch
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins as HydraPlugins

from support.experiments import built
from tartan import Context, Row
from tartan.plugins import Plugin, Plugins, discover
from tartan.train.stage import Stage
from tartan_objectives.mlm import MLM, MLMOptions


class NoiseMLM(MLM):
    """MLM on random tokens, drawn once; as many rows, of the same lengths, as the task's text."""

    def __init__(self, options: MLMOptions, context: Context) -> None:
        super().__init__(options, context)
        rng = torch.Generator().manual_seed(0)
        special, size = len(context.tokenizer.all_special_ids), len(context.tokenizer)
        lengths = [len(row["input_ids"]) for row in context.corpus(options.corpus)]
        self._noise = [
            {"input_ids": torch.randint(special, size, (length,), generator=rng).tolist()}
            for length in lengths
        ]

    def examples(self) -> Sequence[Row]:
        return self._noise


def with_noise() -> Plugins:
    found = discover()
    noise = Plugin("noise", NoiseMLM, "tests")
    return Plugins([*found.objectives.values(), noise], found.weightings.values(), [])


@pytest.fixture(autouse=True)
def own_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is registered here is not there for other tests; what Hydra registers once is."""
    HydraPlugins.instance()
    monkeypatch.setattr(ConfigStore.instance(), "repo", deepcopy(ConfigStore.instance().repo))


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_noise_ends_with_a_lower_weight_than_the_tasks_own_text(seed: int):
    """On the demo, in the 400 steps in which MLM begins to tell the topics' words apart."""
    plugins = with_noise()
    overrides = [
        "objectives=[mlm,noise]",
        "weighting=meta",
        "weighting.lr=0.2",
        "weighting.every=4",
        f"seed={seed}",
    ]
    experiment = built(*overrides, "precision=fp32", "device=cpu", plugins=plugins)
    stage = Stage(experiment.setup, experiment.stages["joint"])
    for step in range(400):
        stage.take(step)
    weights = stage.weights()
    assert weights["noise"] < 0.9 * weights["mlm"], weights
    assert sum(weights.values()) == pytest.approx(1)
