"""Random choices of a weighting follow from the run's seed and the step, and from nothing else."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from support.command import SMALL
from support.experiments import built
from tartan import Needs, Signals, Weighting
from tartan.experiment.build import Experiment
from tartan.plugins import Plugin, Plugins, discover
from tartan.testing import NotApplicable, WeightingContract
from tartan.train.stage import Stage


@dataclass
class RandomOptions:
    temperature: float = 1.0


class Random(Weighting):
    """Weights of the next step are the softmax of normal numbers (RLW: Lin et al., TMLR 2022)."""

    Options = RandomOptions
    needs = Needs.LOSSES
    logits: Tensor

    def __init__(self, options: RandomOptions, objectives: tuple[str, ...]) -> None:
        super().__init__(options, objectives)
        self.register_buffer("logits", torch.zeros(len(objectives)))

    def weights(self) -> Tensor:
        return self.logits.softmax(0)

    def update(self, signals: Signals) -> None:
        drawn = torch.randn(len(self.logits), generator=signals.generator)
        self.logits = drawn.to(self.logits, non_blocking=True)


RULES = [rule.name for rule in WeightingContract.rules()]


class Contract(WeightingContract):
    weighting = Random


@pytest.mark.parametrize("rule", RULES)
def test_it_keeps_its_contract(rule: str):
    if "permuting" in rule:
        with pytest.raises(NotApplicable, match="its weights are random"):
            getattr(Contract(), rule)()
    else:
        getattr(Contract(), rule)()


def begun(seed: int = 0, accumulate: int = 1) -> tuple[Experiment, Stage]:
    found = discover()
    chosen = [*found.weightings.values(), Plugin("random", Random, "tests")]
    plugins = Plugins(found.objectives.values(), chosen, [])
    overrides = ["objectives=[mlm]", "weighting=random", f"seed={seed}", f"accumulate={accumulate}"]
    experiment = built(*SMALL, *overrides, plugins=plugins)
    return experiment, Stage(experiment.setup, experiment.stages["joint"])


def weights(stage: Stage, steps: range) -> list[dict[str, float]]:
    taken = []
    for step in steps:
        torch.manual_seed(step * 7)  # the global generator does not matter
        stage.take(step)
        taken.append(stage.weights())
    return taken


def test_they_depend_on_seed_and_step_alone():
    _, stage = begun()
    expected = weights(stage, range(4))
    assert len({each["mlm"] for each in expected}) == 4
    experiment, stage = begun(accumulate=2)
    assert weights(stage, range(2)) == expected[:2]
    state, again = stage.state_dict(), Stage(experiment.setup, experiment.stages["joint"])
    again.load_state_dict(state)
    assert weights(again, range(2, 4)) == expected[2:]
    _, other = begun(seed=1)
    assert weights(other, range(1)) != expected[:1]
