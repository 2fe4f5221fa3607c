"""TorchJD's aggregators that are functions of the Gramian."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from torch import Tensor
from torchjd import aggregation
from torchjd.aggregation import Aggregator, GramianWeightedAggregator, WeightedAggregator

from tartan import ConfigError, GramianWeighting, Needs, Signals, Weighting
from tartan_weightings.torchjd.constructors import construct, options_class, paper, plugin_name

METHODS: Mapping[str, str] = {
    "AlignedMTL": "when gradients differ in length and are nearly parallel",
    "CAGrad": "when the worst objective should still improve, near the mean gradient",
    "ConFIG": "when the update should have the same cosine with every gradient",
    "DualProj": "when the mean gradient should conflict with no objective",
    "FairGrad": "when all objectives should improve fairly; alpha sets the kind of fairness",
    "GradVac": "when gradients should be as similar as they usually are",
    "IMTLG": "when the update should have the same projection on every gradient",
    "Krum": "when some objectives are not to be trusted: it follows one gradient near most others",
    "MGDA": "when no objective may get worse; it follows the shortest combination",
    "NashMTL": "when gradients differ in length and no objective should dominate",
    "PCD": "to compare with tartan's own `pcd`",
    "PCGrad": "to compare with tartan's own `pcgrad`",
    "UPGrad": "when no objective may get worse and each should count alike",
}
"""The aggregators that are offered, and when to use each."""
SIGNED = ("AlignedMTL", "ConFIG", "IMTLG")
"""Those whose weights may be negative."""
FEWEST = {"Krum": 3}
STATE: Mapping[str, Mapping[str, Callable[[int], Tensor]]] = {
    "GradVac": {"_phi_t": lambda n: torch.zeros(n, n, dtype=torch.float64)},
    "NashMTL": {"prvs_alpha": lambda n: torch.ones(n, dtype=torch.float64)},
    "PCD": {
        "_sq_norm_ema": lambda n: torch.zeros(n, dtype=torch.float64),
        "_n_steps": lambda n: torch.zeros((), dtype=torch.int64),  # noqa: ARG005
    },
}
"""Attributes that change in training, and their values at the start for n objectives."""


class Engine:
    """An aggregator, kept out of the weighting's modules: its tensors stay on the CPU.

    Attributes:
        aggregator: TorchJD's object.
    """

    def __init__(self, aggregator: Aggregator, objectives: int) -> None:
        self.aggregator = aggregator
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.weigh(torch.eye(objectives, dtype=torch.float64))  # makes what state there is

    def weigh(self, gramian: Tensor) -> Tensor:
        """Return the weights for a Gramian, [objectives, objectives] float64 on the CPU.

        An aggregator that wants the gradients gets others with the same inner products: what it
        computes does not depend on the axes.
        """
        if isinstance(self.aggregator, GramianWeightedAggregator):
            return self.aggregator.gramian_weighting(gramian)
        rows = factor(gramian)
        if isinstance(self.aggregator, WeightedAggregator):
            return self.aggregator.weighting(rows)
        weights: Tensor = torch.linalg.pinv(rows.T) @ self.aggregator(rows)
        return weights

    def get(self, name: str) -> Tensor:
        """Return a copy of an attribute that changes."""
        return torch.as_tensor(getattr(self._holder, name)).clone()

    def set(self, name: str, value: Tensor) -> None:
        """Set an attribute that changes."""
        array = not isinstance(getattr(self._holder, name), Tensor)
        setattr(self._holder, name, value.numpy() if array else value)

    @property
    def _holder(self) -> Any:
        gramian = isinstance(self.aggregator, GramianWeightedAggregator)
        return getattr(self.aggregator, "gramian_weighting" if gramian else "weighting")


class TorchJDGramian(GramianWeighting):
    """Weights by an aggregator of TorchJD's from each step's Gramian, in float64 on the CPU.

    Where TorchJD finds no finite weights in a step (its solver fails, or all gradients are zero),
    the last step's weights are used and a RuntimeWarning says so.
    """

    needs: ClassVar[Needs] = Needs.LOSSES | Needs.GRADIENTS
    waits = True
    method: ClassVar[type[Aggregator]]
    """TorchJD's class."""

    def __init__(self, options: Any, objectives: tuple[str, ...]) -> None:
        super().__init__(options, objectives)
        if len(objectives) < self.fewest:
            raise ConfigError(
                f"{plugin_name(self.method)} weighs at least {self.fewest} objectives, "
                f"found {len(objectives)}"
            )
        self._engine = Engine(construct(self.method, options, objectives), len(objectives))
        self._names = tuple(STATE.get(self.method.__name__, {}))
        self._next: dict[str, Tensor] = {}
        for name in self._names:
            start = STATE[self.method.__name__][name](len(objectives))
            self.register_buffer(_buffer(name), start)

    def combine(self, signals: Signals) -> Tensor:
        """Return the aggregator's weights, [objectives]."""
        assert signals.gramian is not None  # it is in `needs`
        kept = {name: self.get_buffer(_buffer(name)) for name in self._names}
        for name, value in kept.items():
            self._engine.set(name, value.cpu().clone())
        gramian = signals.gramian.detach().cpu().double()
        if not gramian.isfinite().all():  # this step is not taken
            self._next = kept
            return self.last
        with drawing_from(signals.generator):
            weights = self._weigh(gramian)
        if weights is None:
            self._next = kept
            return self.last
        self._next = {name: self._engine.get(name) for name in self._names}
        return weights.to(self.last)

    def _weigh(self, gramian: Tensor) -> Tensor | None:
        """Return the weights; None where there are none, with a warning."""
        try:
            with warnings.catch_warnings():  # a solver's remarks on its way are not the user's
                warnings.simplefilter("ignore")
                weights = self._engine.weigh(gramian)
            reason = "its weights are not finite"
        except Exception as error:  # its solvers may raise anything
            weights, reason = None, " ".join(str(error).split())
        if weights is not None and weights.isfinite().all():
            return weights if self.signed else weights.clamp(min=0)  # rounding may lead below
        name = plugin_name(self.method)
        message = f"{name} has no weights for a step, which gets the last ones: {reason}"
        warnings.warn(message, RuntimeWarning, stacklevel=2)
        return None

    def update(self, signals: Signals) -> None:
        """Keep the aggregator's state, and the step's weights."""
        super().update(signals)
        for name, value in self._next.items():
            buffer = self.get_buffer(_buffer(name))
            setattr(self, _buffer(name), value.to(buffer))


def factor(gramian: Tensor) -> Tensor:
    """Return rows with these inner products, [n, n]."""
    values, vectors = torch.linalg.eigh(gramian)
    rows: Tensor = vectors * values.clamp(min=0).sqrt()
    return rows


@contextmanager
def drawing_from(generator: torch.Generator | None) -> Iterator[None]:
    """Have torch's global generator continue a given one within a block, and restore it."""
    if generator is None:
        yield
        return
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(generator.get_state())
        yield
        generator.set_state(torch.get_rng_state())


def _buffer(name: str) -> str:
    """Return the name of the buffer of an attribute."""
    return f"torchjd{name}" if name.startswith("_") else f"torchjd_{name}"


def adapt(method: type[Aggregator]) -> type[Weighting]:
    """Make the weighting of an aggregator's class."""
    name = method.__name__
    return type(
        f"TorchJD{name}",
        (TorchJDGramian,),
        {
            "__doc__": f"TorchJD's {name}: {paper(method)}.",
            "__module__": __name__,
            "Options": options_class(method, {}),
            "method": method,
            "paper": paper(method),
            "use": METHODS[name],
            "signed": name in SIGNED,
            "fewest": FEWEST.get(name, 1),
            "end_task_first": name == "PCD",
        },
    )


def offered() -> dict[str, type[Weighting]]:
    """Return the weightings of `METHODS` by their plugins' names."""
    classes: list[type[Aggregator]] = [getattr(aggregation, name) for name in METHODS]
    return {plugin_name(cls): adapt(cls) for cls in classes}
