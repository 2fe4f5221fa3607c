"""tartan's own step."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.arithmetic import Body, Work, gradient_bytes, objectives_work
from benchmarks.experiment import experiment, without_dropout
from benchmarks.setting import Setting
from benchmarks.sides.side import Measured, Probed, Side, body_gradient
from tartan.batch import Batch, Row
from tartan.objective import PrimaryObjective
from tartan.train.setup import Setup
from tartan.train.stage import Stage
from tartan.weighting import Needs


class TartanSide(Side):
    """The step of a run."""

    def __init__(self, setting: Setting, auxiliary: int = 1, *overrides: str) -> None:
        """Build the run that the overrides describe; its first stage is measured."""
        built = experiment(setting, auxiliary, *overrides)
        self._setup, self._plan = self.prepare(built.setup), next(iter(built.stages.values()))
        self._stage = Stage(self._setup, self._plan)
        self._body = Body.of(self._setup.model.body.model)
        self.device, self.precision = self._setup.runtime.device, self._setup.runtime.precision
        self.gradient_bytes = gradient_bytes(self._setup.model)
        self._taken = 0

    def prepare(self, setup: Setup) -> Setup:
        """Return the setup that trains: the run's own."""
        return setup

    def gradient(self, reference: Measured | None) -> Measured:  # noqa: ARG002
        """Return the gradient that `Step.measure` sets."""
        model = self._setup.model
        probed = {split: Numbered(rows) for split, rows in self._setup.probed.items()}
        stage = Stage(replace(self._setup, probed=probed), self._plan)
        with (
            without_dropout(model),
            noted(model.end_task) as notes,
            self._setup.runtime.same_weights(model.body),
        ):
            signals, _ = stage.step.measure(0)
        measured = Measured(body_gradient(model.body.model), notes.probed(signals.alignment))
        for parameter in model.parameters():
            parameter.grad = None
        return measured

    def take(self) -> None:
        """Take a step with `Stage.take`."""
        self._stage.take(self._taken)
        self._taken += 1

    def work(self) -> Work:
        """Return the work of the objectives' batches, and of the dev gradient if it is measured."""
        step, weighting = self._taken - 1, self._stage.weighting
        streams = (self._setup.streams[name] for name in self._stage.names)
        work = objectives_work(self._body, (stream.rows(step) for stream in streams))
        if Needs.DEV in weighting.due(step):
            sizes = weighting.probe.fit_batch_size, weighting.probe.grad_batch_size
            work += Work(
                0, self._body.dev_gradient(self._setup.probed[weighting.probe.split], *sizes)
            )
        return work


def by_meta(setting: Setting) -> Sequence[str]:
    """Return the overrides of META, with dev batches as large as those of an objective."""
    sizes = (f"weighting.probe.{part}_batch_size={setting.batch}" for part in ("fit", "grad"))
    return "weighting=meta", *sizes


def static(setting: Setting) -> Side:
    """Build MT-TARTAN with one auxiliary objective."""
    return TartanSide(setting)


def meta(setting: Setting) -> Side:
    """Build META-TARTAN with one auxiliary objective."""
    return TartanSide(setting, 1, *by_meta(setting))


def meta_every_4(setting: Setting) -> Side:
    """Build META-TARTAN that measures the dev gradient in every fourth step."""
    return TartanSide(setting, 1, *by_meta(setting), "weighting.every=4")


def mlm(setting: Setting) -> Side:
    """Build masked language modelling alone."""
    return TartanSide(setting, 1, "schedule=pretrain")


def static_n(setting: Setting) -> Side:
    """Build MT-TARTAN with the setting's number of objectives."""
    return TartanSide(setting, setting.objectives - 1)


def meta_n(setting: Setting) -> Side:
    """Build META-TARTAN with the setting's number of objectives."""
    return TartanSide(setting, setting.objectives - 1, *by_meta(setting))


class Numbered(Sequence[Row]):
    """Rows that contain their index as `row`."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, place: Any) -> Any:
        return {**self._rows[place], "row": place}


class Notes:
    """What an end task computed for a dev gradient."""

    def __init__(self) -> None:
        self.probes: list[dict[str, Tensor]] = []
        self.batches: list[Tensor] = []

    def probed(self, alignment: Tensor | None) -> Probed | None:
        """Return how the dev gradient was computed, if it was. ValueError if that is unclear."""
        if alignment is None:
            return None
        # On a GPU the batches of the next step are collated ahead: they follow this step's.
        if len(self.probes) != 1 or len(self.batches) not in (2, 4):
            raise ValueError(
                f"a dev gradient drew {len(self.probes)} probes and {len(self.batches)} batches "
                "of dev rows, not 1 and 2"
            )
        fitted, graded = self.batches[:2]
        return Probed(self.probes[0], fitted, graded, alignment.detach().float().cpu())


@contextmanager
def noted(task: PrimaryObjective) -> Iterator[Notes]:
    """Note which dev rows are collated (the fit's come first) and how a probe starts.

    Its dropout, which is drawn while it is fitted, is left out.
    """
    notes, probe, collate = Notes(), task.probe, task.collate

    def noting_probe(dropout: float) -> nn.Module:  # noqa: ARG001
        head = probe(0.0)
        notes.probes.append({name: value.clone() for name, value in head.state_dict().items()})
        return head

    def noting_collate(rows: Sequence[Row], rng: torch.Generator) -> Batch:
        if "row" in rows[0]:
            notes.batches.append(torch.tensor([row["row"] for row in rows]))
        return collate(rows, rng)

    task.__dict__ |= {"probe": noting_probe, "collate": noting_collate}
    try:
        yield notes
    finally:
        del task.__dict__["probe"], task.__dict__["collate"]
