"""What META learns: text that helps the end task counts for more than noise."""

from collections.abc import Sequence

import pytest
import torch
from hydra import compose, initialize_config_module
from tartan_objectives.mlm import MLM, MLMOptions

from tartan import Context, Row
from tartan.config.build import build
from tartan.config.parse import parse
from tartan.config.store import register
from tartan.plugins import Plugin, Plugins, discover
from tartan.train.stage import Stage


class NoiseMLM(MLM):
    """MLM on random tokens, drawn once; as many rows, of the same lengths, as the task's text."""

    def __init__(self, options: MLMOptions, context: Context) -> None:
        super().__init__(options, context)
        rng = torch.Generator().manual_seed(0)
        special, size = len(context.tokenizer.all_special_ids), len(context.tokenizer)
        self._noise = [
            {"input_ids": torch.randint(special, size, (len(r["input_ids"]),), generator=rng).tolist()}
            for r in context.corpus(options.corpus)
        ]  # fmt: skip

    def examples(self) -> Sequence[Row]:
        return self._noise


def with_noise() -> Plugins:
    found = discover()
    noise = Plugin("noise", NoiseMLM, "tests")
    return Plugins([*found.objectives.values(), noise], found.weightings.values(), [])


@pytest.mark.parametrize("seed", [0, 1])
def test_noise_ends_with_a_lower_weight_than_the_tasks_own_text(seed: int):
    plugins = with_noise()
    register(plugins)
    overrides = [
        "objectives=[mlm,noise]", "weighting=meta", "weighting.lr=0.05", f"seed={seed}",
        "precision=fp32", "device=cpu", "model.hidden_size=32", "model.intermediate_size=64",
    ]  # fmt: skip
    with initialize_config_module("tartan.configs", version_base="1.3"):
        config = parse(compose("config", overrides))
    config.steps = 150
    experiment = build(config, plugins)
    stage = Stage(experiment.setup, experiment.stages["joint"])
    for step in range(config.steps):
        stage.take(step)
    weights = stage.weights()
    assert weights["noise"] < weights["mlm"], weights
    assert sum(weights.values()) == pytest.approx(1)
