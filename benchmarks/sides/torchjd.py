"""TorchJD's use of autograd, compared with tartan's Gramian (Quinton and Rey, 2024).

Both compute with tartan's body and heads, on the same packed batches. tartan weighs by its plugin
`torchjd_<weighting>`, and TorchJD by the aggregator of that name.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from torch import Tensor
from torchjd.autojac import jac_to_grad, mtl_backward

from benchmarks.arithmetic import Body, Work, gradient_bytes, objectives_work
from benchmarks.experiment import STEPS, experiment, without_dropout
from benchmarks.setting import Setting
from benchmarks.sides.side import Measured, Side, body_gradient
from benchmarks.sides.tartan import TartanSide
from tartan.body import LiftedHead
from tartan.body.heads import borrow
from tartan.errors import ConfigError
from tartan.objective import Objective
from tartan.plugins import discover
from tartan.seeding import generator
from tartan.train.model import JointModel
from tartan.train.optimiser import Optimiser
from tartan_weightings.torchjd.constructors import construct
from tartan_weightings.torchjd.gramian import TorchJDGramian


class TartanGramian(TartanSide):
    """tartan's step, with the Gramian of all objectives."""

    def __init__(self, setting: Setting) -> None:
        """Build a run of the setting's number of objectives and weighting."""
        method(setting)
        super().__init__(setting, setting.objectives - 1, f"weighting={name_of(setting)}")


def name_of(setting: Setting) -> str:
    """Return the name of the setting's weighting."""
    return f"torchjd_{setting.weighting}"


def method(setting: Setting) -> type[TorchJDGramian]:
    """Return the setting's weighting. TartanError if it is not a function of the Gramian."""
    found = discover().weighting(name_of(setting))
    if not issubclass(found, TorchJDGramian):
        raise ConfigError(f"--weighting {setting.weighting}: it does not weigh by the Gramian")
    return found


class TorchJD(Side):
    """`mtl_backward` and `jac_to_grad`, one objective at a time, without a whole Jacobian matrix.

    Chunks of one take as long as all at once here, and need less memory.
    """

    def __init__(self, setting: Setting) -> None:
        """Build the run; its step is not used."""
        built = experiment(setting, setting.objectives - 1)
        self._run, self._seed, self._taken = built.setup, setting.seed, 0
        self._model: JointModel = self._run.model
        self.device, self.precision = self._run.runtime.device, self._run.runtime.precision
        self.gradient_bytes = gradient_bytes(self._model)
        self._body = Body.of(self._model.body.model)
        cls = method(setting)
        self._aggregator = construct(cls.method, cls.Options(), self._model.names)
        options = next(iter(built.stages.values())).optimizer
        self._optimiser = Optimiser(
            self._model.shared(), self._model.heads(self._model.names), options, STEPS
        )

    def gradient(self, reference: Measured | None) -> Measured:  # noqa: ARG002
        """Return the gradient of the first step."""
        self._model.train()
        with without_dropout(self._model):
            self._backward(0)
        measured = Measured(body_gradient(self._model.body.model))
        self._forget()
        return measured

    def take(self) -> None:
        """Take one update."""
        self._model.train()
        self._backward(self._taken)
        self._optimiser.step()
        self._forget()
        self._taken += 1

    def work(self) -> Work:
        """Return the work of the objectives' batches."""
        streams = self._run.streams.values()
        return objectives_work(self._body, (stream.rows(self._taken - 1) for stream in streams))

    def _backward(self, step: int) -> None:
        """Set the body's `.grad` to the combined gradient."""
        names = self._model.names
        with shared_decoders(self._model) as features:
            losses = [self._loss(name, step, features) for name in names]
            mtl_backward(
                losses,
                features=features,
                tasks_params=[self._model.private(name) for name in names],
                shared_params=self._model.shared(),
                parallel_chunk_size=1,
            )
        jac_to_grad(self._model.shared(), self._aggregator, optimize_gramian_computation=True)

    def _loss(self, name: str, step: int, features: list[Tensor]) -> Tensor:
        """Return an objective's mean loss, and add its hidden states to the features."""
        objective: Objective = self._model.objective(name)
        rng = generator(self._seed, "collate", name, step)
        batch = objective.collate(self._run.streams[name].rows(step), rng).to(self.device)
        with self._run.runtime.autocast():
            hidden = self._model.body(batch.inputs)
            features.append(hidden)
            return objective.loss(hidden, batch).total / max(batch.items, 1)

    def _forget(self) -> None:
        """Drop every `.grad`."""
        for parameter in self._model.parameters():
            parameter.grad = None


@contextmanager
def shared_decoders(model: JointModel) -> Iterator[list[Tensor]]:
    """Yield features that lead to the shared parameters through heads tied to the body.

    `mtl_backward` follows features alone. A decoder that is the embedding therefore computes with a
    view of it, and the view is a feature.
    """
    parameters = dict(model.body.model.named_parameters())
    heads = [head for head in model.objectives.modules() if isinstance(head, LiftedHead)]
    sources = {source for head in heads for source in head.borrowed.values()}
    views = {name: parameters[name].view_as(parameters[name]) for name in sources}
    try:
        _lend(heads, views)
        yield list(views.values())
    finally:
        _lend(heads, parameters)


def _lend(heads: list[LiftedHead], tensors: Mapping[str, Tensor]) -> None:
    """Replace the parameters that heads borrow by tensors, by their name in the body."""
    for head in heads:
        for name, source in head.borrowed.items():
            borrow(head.model, name, tensors[source])  # type: ignore[arg-type]
