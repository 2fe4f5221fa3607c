"""Training steps on the fake CUDA device, and what they did there. Run in its process."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from support import experiments
from tartan import Needs, Signals, Weighting
from tartan.body.kernels.layout import Layout
from tartan.body.layouts import Layouts
from tartan.experiment.build import Experiment
from tartan.testing.fake_cuda import Record, recorded
from tartan.train.evaluate import evaluate
from tartan.train.setup import Setup
from tartan.train.stage import Stage

SMALL = [
    "batch_size=8", "precision=bf16", "device=cuda", "steps=20",
    "model.hidden_size=16", "model.intermediate_size=32", "model.layers=2", "model.heads=2",
    "data.train=24", "data.dev=24", "data.test=16", "data.unlabelled=40",
]  # fmt: skip
WARM, MEASURED = 1, 2
"""Steps: one makes what is made once; two read each other's late flag."""


class GramianWeights(Weighting):
    """Weights that depend on a step's own Gramian, without reading it on the host."""

    needs = Needs.LOSSES | Needs.GRADIENTS
    shares: Tensor

    def __init__(self, options: object, objectives: tuple[str, ...]) -> None:
        super().__init__(options, objectives)
        self.register_buffer("shares", torch.full((len(objectives),), 1 / len(objectives)))

    def weights(self) -> Tensor:
        return self.shares

    def combine(self, signals: Signals) -> Tensor:
        assert signals.gramian is not None
        return (-signals.gramian.diagonal()).softmax(0)


@dataclass(frozen=True)
class Steps:
    """What steps did: launches of one, the places that waited in all of them, and how many layouts
    the thread that computes had to make itself."""

    launches: float
    places: frozenset[str]
    notices: tuple[str, ...] = ()
    operators: tuple[tuple[str, float], ...] = ()
    laid_out: int = 0


def made(*overrides: str) -> Experiment:
    return experiments.built(*SMALL, *overrides)


def summary(record: Record, times: int = 1, notices: Sequence[str] = ()) -> Steps:
    most = tuple((name, count / times) for name, count in record.launches.most_common())
    places = frozenset(record.places())
    return Steps(record.launched / times, places, tuple(notices), most)


def take(
    setup: Setup, experiment: Experiment, measured: int = MEASURED, warm: int = WARM
) -> tuple[Steps, Stage]:
    stage = Stage(setup, next(iter(experiment.stages.values())))
    for step in range(warm):
        stage.take(step)
    with recorded() as record, counting_layouts() as late:
        for step in range(warm, warm + measured):
            stage.take(step)
    stage.step.guard.wait()
    return replace(summary(record, measured, experiment.notices), laid_out=len(late)), stage


def steps(*overrides: str, measured: int = MEASURED) -> Steps:
    """Take steps of a run."""
    experiment = made(*overrides)
    return take(experiment.setup, experiment, measured)[0]


def steps_of_a_saved_model(directory: str) -> Steps:
    """Take steps of META with a body that `save_tiny` wrote."""
    sizes = [text for text in SMALL if not text.startswith("model.")]
    given = ["model=auto", f"model.name={directory}", "model.max_length=32", "weighting=meta"]
    experiment = experiments.built(*sizes, *given, "objectives=[clm]")
    return take(experiment.setup, experiment)[0]


def steps_by_graphs(*overrides: str) -> Steps:
    """Take steps after those in which graphs are recorded, on texts of one length."""
    experiment = made("cuda_graphs=true", "data.min_words=14", "data.max_words=14", *overrides)
    setup, options = experiment.setup, next(iter(experiment.stages.values()))
    Stage(setup, options).cost  # noqa: B018  (as a trainer estimates it, before the first step)
    return take(setup, experiment, warm=3)[0]


def four_steps(*overrides: str) -> Steps:
    """Take as many steps as a weighting with every=4 has kinds of."""
    return steps(*overrides, measured=4)


@contextmanager
def counting_layouts() -> Iterator[list[Sequence[int]]]:
    """Collect the lengths of which a pass found no layout that was made ahead."""
    late: list[Sequence[int]] = []
    find = Layouts.find

    def counted(self: Layouts, lengths: tuple[int, ...], causal: bool) -> Layout | None:
        layout = find(self, lengths, causal)
        if layout is None:
            late.append(lengths)
        return layout

    Layouts.find = counted
    try:
        yield late
    finally:
        Layouts.find = find


def gramian_steps(*overrides: str) -> Steps:
    """Take steps whose weights depend on the Gramian."""
    experiment = made(*overrides)
    setup = experiment.setup
    weighting = lambda _, names: GramianWeights(None, names).to("cuda")  # noqa: E731
    return take(replace(setup, make_weighting=weighting), experiment)[0]


def gradient(device: str, *overrides: str) -> list[Tensor]:
    """Do `gradient_in` in fp32."""
    return gradient_in(device, "fp32", *overrides)


def gradient_in(device: str, precision: str, *overrides: str) -> list[Tensor]:
    """Measure a step without dropout; return the body's gradient, flat, and the signals."""
    experiment = made("model.dropout=0", f"device={device}", f"precision={precision}", *overrides)
    stage, setup = Stage(experiment.setup, next(iter(experiment.stages.values()))), experiment.setup
    with setup.runtime.same_weights(setup.model.body):
        signals, _ = stage.step.measure(0)
    parameters = experiment.setup.model.body.parameters()
    flat = torch.cat([p.grad.flatten() for p in parameters if p.grad is not None])
    measured = (flat, signals.losses, signals.norms, signals.dev)
    return [each.detach().cpu() for each in measured if each is not None]


def read() -> tuple[Steps, Steps]:
    """Evaluate, and read the window's means."""
    experiment = made("objectives=[mlm]", "weighting=meta")
    setup = experiment.setup
    _, stage = take(setup, experiment)
    with recorded() as evaluating:
        evaluate(setup.model, setup.dev, 8, setup.runtime)
    with recorded() as window:
        stage.window.means()
    return summary(evaluating), summary(window)


if __name__ == "__main__":
    print(steps(*sys.argv[1:]))
