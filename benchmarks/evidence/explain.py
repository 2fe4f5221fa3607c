"""Why a weighting wins or loses: alignment, look-ahead, noise and scales during joint training.

    python -m benchmarks.evidence.explain RESULTS [--at STEP,...] OVERRIDE ...

Trains one run's first stage, as the overrides configure it, and stops at some steps. There it
measures, for the batches of several following steps, without changing the run:

* for each objective its gradient's norm on the body, and its cosine with the end task's;
* alignment: its cosine with the dev gradient through a probe, as `meta` sees it;
* a look-ahead: how much the loss of the end task's own head on all of dev falls when the body moves
  against that objective's gradient alone. The step is as long for every objective; `adam` divides
  the gradient by the root of the optimiser's second moments first, as AdamW does;
* noise: the mean cosine of the dev gradients of different steps, for probes fitted by 10 iterations
  as released and by more, and their mean cosine with the gradient through the end task's own head
  on all of dev.
"""

import argparse
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import correlation, mean
from typing import Any

import torch
from hydra import compose, initialize_config_module
from torch import Tensor, nn

from benchmarks.origin import commit
from tartan.config.overrides import accept
from tartan.config.parse import parse
from tartan.config.store import register
from tartan.experiment.build import Experiment, build
from tartan.plugins import discover
from tartan.seeding import generator
from tartan.train.dev_loss import DevLoss
from tartan.train.stage import Stage
from tartan.weighting import ProbeOptions

BATCHES = 4
"""Batches that are measured at each point."""
LENGTH = 0.02
"""Length of a look-ahead, as a share of the change that the stage has made to the body so far; at
the first point, of the body's norm divided by 100."""
PROBES = (10, 50, 200)
"""Iterations of a probe's fit: as released, and more."""


class Measuring:
    """A joint stage that is measured while it trains."""

    def __init__(self, experiment: Experiment) -> None:
        """Begin the experiment's first stage with several objectives."""
        self._setup = experiment.setup
        self._plan = next(iter(experiment.stages.values()))
        self._stage = Stage(self._setup, self._plan)
        meta = replace(self._plan, weighting={"plugin": "meta"})
        self._probed = Stage(self._setup, meta)
        self._body = self._setup.model.shared()
        self._start = [p.detach().clone() for p in self._body]
        self.taken = 0

    def train(self, steps: int) -> None:
        """Train until a number of steps have been taken."""
        for step in range(self.taken, steps):
            self._stage.take(step)
        self.taken = max(self.taken, steps)

    def point(self) -> dict[str, Any]:
        """Measure here."""
        with self._restored():
            before = self._dev_loss()
            return {
                "step": self.taken,
                "weights": self._stage.weights(),
                "dev_loss": before,
                "batches": [self._batch(self.taken + k, before) for k in range(BATCHES)],
                "noise": {str(steps): self._noise(steps) for steps in PROBES},
            }

    def _batch(self, step: int, before: float) -> dict[str, Any]:
        """Measure one batch of each objective; `before` is the dev loss here."""
        signals, _ = self._probed.step.measure(step)
        assert signals.alignment is not None
        names = self._stage.names
        gradients = {name: self._gradient(name, step) for name in names}
        primary = gradients[names[0]]
        found: dict[str, Any] = {}
        for name, alignment in zip(names, signals.alignment.tolist(), strict=True):
            own = gradients[name]
            found[name] = {
                "alignment": alignment,
                "norm": _norm(own),
                "cosine_end_task": _cosine(own, primary),
                "ahead_sgd": before - self._ahead(own),
                "ahead_adam": before - self._ahead(self._preconditioned(own)),
            }
        return found

    def _gradient(self, name: str, step: int) -> list[Tensor]:
        """Return an objective's gradient on the body, for its batch of a step."""
        alone = replace(self._plan, names=(name,), weighting={"plugin": "static"})
        Stage(self._setup, alone).step.measure(step)
        return self._taken()

    def _taken(self) -> list[Tensor]:
        """Return the body's gradient, and set every gradient to None."""
        found = [torch.zeros_like(p) if p.grad is None else p.grad.to_dense() for p in self._body]
        for parameter in self._setup.model.parameters():
            parameter.grad = None
        return found

    def _preconditioned(self, gradient: Sequence[Tensor]) -> list[Tensor]:
        """Divide a gradient by the root of AdamW's second moments."""
        state: Any = self._stage.state_dict()["optimiser"]["adamw"]["state"]
        # The optimiser numbers matrices first, then vectors.
        order = sorted(range(len(self._body)), key=lambda place: self._body[place].ndim <= 1)
        found = [torch.zeros_like(part) for part in gradient]
        for number, place in enumerate(order):
            if number in state:  # parameters without a gradient have none
                found[place] = gradient[place] / (state[number]["exp_avg_sq"].sqrt() + 1e-6)
        return found

    @torch.no_grad()
    def _ahead(self, direction: Sequence[Tensor]) -> float:
        """Return the dev loss after a step against a direction; the body is restored."""
        moved = _norm([p - q for p, q in zip(self._body, self._start, strict=True)])
        length = LENGTH * (moved or _norm(self._start) / 100)
        factor = length / max(_norm(direction), 1e-30)
        kept = [p.detach().clone() for p in self._body]
        for parameter, part in zip(self._body, direction, strict=True):
            parameter.sub_(factor * part)
        loss = self._dev_loss()
        for parameter, before in zip(self._body, kept, strict=True):
            parameter.copy_(before)
        return loss

    @torch.no_grad()
    def _dev_loss(self) -> float:
        """Return the mean loss of the end task's own head on all of dev, without dropout."""
        return float(sum(self._dev_pieces()) / len(self._setup.dev))

    def _dev_pieces(self) -> Iterator[Tensor]:
        """Compute the summed loss of dev, 32 rows at a time."""
        model, task = self._setup.model, self._setup.model.end_task
        model.eval()
        rows = sorted(self._setup.dev, key=lambda row: len(row["input_ids"]))
        for start in range(0, len(rows), 32):
            batch = task.collate(rows[start : start + 32], generator(0, "explain", start))
            yield task.loss(model.body(batch.inputs), batch).total
        model.train()

    def _noise(self, steps: int) -> dict[str, float]:
        """Return the mean cosine of dev gradients with each other and with the own head's."""
        dev = DevLoss(
            self._setup.model,
            self._setup.dev,
            ProbeOptions(steps=steps, tolerance=0.0),
            self._setup.runtime,
            self._setup.seed,
        )
        gradients = []
        for k in range(BATCHES):
            term = dev.term(10_000 + k)
            piece = term.pieces[0]
            assert piece is not None  # dev is read in every measurement
            (piece() * term.per_item).backward()
            gradients.append(self._taken())
        for loss in self._dev_pieces():
            loss.backward()
        own = self._taken()
        pairs = itertools.combinations(gradients, 2)
        return {
            "with_each_other": mean(_cosine(a, b) for a, b in pairs),
            "with_own_head": mean(_cosine(a, own) for a in gradients),
        }

    @contextmanager
    def _restored(self) -> Iterator[None]:
        """Restore all parameters after a block."""
        model: nn.Module = self._setup.model
        kept = {name: value.clone() for name, value in model.state_dict().items()}
        try:
            yield
        finally:
            model.load_state_dict(kept)


def _norm(parts: Sequence[Tensor]) -> float:
    """Return the Euclidean norm."""
    return float(torch.stack([part.detach().norm() for part in parts]).norm())


def _cosine(one: Sequence[Tensor], other: Sequence[Tensor]) -> float:
    """Return the cosine of two gradients; 0 where one is 0."""
    product = sum(float((a * b).sum()) for a, b in zip(one, other, strict=True))
    return product / max(_norm(one) * _norm(other), 1e-30)


def summary(points: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return means over all batches of points, and how alignment agrees with the look-aheads.

    `agreement` has the correlation over batches and objectives, and how often the sign of an
    auxiliary's alignment is that of its look-ahead.
    """
    batches = [batch for point in points for batch in point["batches"]]
    names = list(batches[0])
    means = {
        name: {key: mean(batch[name][key] for batch in batches) for key in batches[0][name]}
        for name in names
    }
    agreement: dict[str, Any] = {}
    for ahead in ("ahead_sgd", "ahead_adam"):
        pairs = [(b[name]["alignment"], b[name][ahead]) for b in batches for name in names]
        signs = [
            (b[name]["alignment"] > 0) == (b[name][ahead] > 0)
            for b in batches
            for name in names[1:]
        ]
        agreement[ahead] = {
            "correlation": correlation(*zip(*pairs, strict=True)),
            "same_sign": mean(signs) if signs else None,
        }
    return {"means": means, "agreement": agreement}


def experiment(overrides: Sequence[str]) -> Experiment:
    """Build the run that overrides describe."""
    plugins = discover()
    register(plugins)
    typed = accept([*overrides, "run_dir=unused"])
    with initialize_config_module("tartan.configs", version_base="1.3"):
        return build(parse(compose("config", overrides=typed)), plugins)


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser()
    parser.add_argument("results", type=Path)
    parser.add_argument("--at", default="8,32,80")
    arguments, overrides = parser.parse_known_args()
    torch.set_num_threads(1)
    measuring = Measuring(experiment(overrides))
    points = []
    for step in map(int, arguments.at.split(",")):
        measuring.train(step)
        points.append(measuring.point())
        print(json.dumps(points[-1]), flush=True)
        content = {
            "commit": commit(),
            "overrides": overrides,
            "summary": summary(points),
            "points": points,
        }
        arguments.results.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
