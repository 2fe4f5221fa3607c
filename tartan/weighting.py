"""Weightings: how much each objective counts in an update, decided from small signals alone."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Flag, auto
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from tartan.checks import check_choice, check_ranges


class Needs(Flag):
    """Signals that a weighting needs. Losses are always measured; the rest costs passes."""

    LOSSES = auto()
    """The objectives' losses: one backward pass of their weighted sum for each part of a step."""
    GRADIENTS = auto()
    """The Gramian: every inner product of two objectives' gradients on the body."""
    DEV = auto()
    """Each objective's inner product with the dev gradient, and the gradients' norms."""


@dataclass(frozen=True)
class Cost:
    """Cost of one step.

    Attributes:
        backwards: backward passes through the body.
        copies: copies of the body's gradient held at once.
        memory: bytes of parameters, gradients and the optimiser's moments; 0 where there is no
            model to count.
        activations: an estimate of the bytes of activations, for batches like the first ones; 0
            where they are not estimated: without a model, or where its body is sharded.
        forwards: forward passes through the body; 0 where there are no objectives to ask.
        expected: whether the passes are the mean over a stage's steps, where each computes some of
            the objectives; otherwise they are the most that a step takes.
    """

    backwards: float
    copies: int
    memory: int = 0
    forwards: float = 0
    activations: int = 0
    expected: bool = False


def cost(needs: Needs, objectives: int) -> Cost:
    """Compute the cost of a step that measures `needs` for this many objectives."""
    dev = int(Needs.DEV in needs)
    if Needs.GRADIENTS in needs:
        return Cost(backwards=objectives + dev, copies=objectives + 1 + dev)
    return Cost(backwards=objectives + 1, copies=3) if dev else Cost(backwards=1, copies=1)


@dataclass(frozen=True)
class Signals:
    """Measurements of one step. Float tensors, objectives in order, the primary first.

    Gradients are those of each objective's mean loss, with respect to the body's parameters.

    Attributes:
        losses: [objectives], each objective's mean loss, times its `scale` and `schedule` in a run.
        weights: [objectives], what each counted in the update.
        norms: [objectives], the gradients' Euclidean norms; with GRADIENTS or DEV.
        gramian: [objectives, objectives], the gradients' inner products; with GRADIENTS.
        dev: [objectives], inner products with the dev gradient; with DEV.
        dev_norm: [], the dev gradient's Euclidean norm; with DEV.
        generator: on the CPU, for the weighting's random choices in this step. In a run it depends
            on the seed and the step alone. None stands for torch's global generator, as in torch.
        active: [objectives] bool, whether the step computed each; None if it computed all. The
            other signals of an objective that was not computed are 0.
    """

    losses: Tensor
    weights: Tensor
    norms: Tensor | None = None
    gramian: Tensor | None = None
    dev: Tensor | None = None
    dev_norm: Tensor | None = None
    generator: torch.Generator | None = None
    active: Tensor | None = None

    @property
    def alignment(self) -> Tensor | None:
        """[objectives]: cosine with the dev gradient, 0 where a gradient is zero; with DEV."""
        if self.dev is None or self.norms is None or self.dev_norm is None:
            return None
        scale = self.norms * self.dev_norm
        cosine = self.dev / scale.clamp_min(torch.finfo(scale.dtype).tiny)
        return torch.where(scale > 0, cosine, 0).clamp(-1, 1)  # rounding may lead beyond


@dataclass
class ProbeOptions:
    """How the dev gradient is taken; the defaults are those of the paper's released code.

    The probe is the released code's "meta-dev head" (Dery et al., ICLR 2022, appendix).

    Attributes:
        steps: AdamW iterations at most to fit a probe.
        lr: their learning rate.
        weight_decay: their weight decay.
        tolerance: fitting stops when the loss changes by less.
        dropout: the probe's own dropout.
        fit_batch_size: dev rows a probe is fitted on.
        grad_batch_size: other dev rows the dev gradient is taken on.
        split: `dev`, as in the paper, or `train`: a held-out share of the training split.
        held_out: that share, between 0 and 1; the primary does not train on its rows.
    """

    steps: int = 10
    lr: float = 1e-3
    weight_decay: float = 0.1
    tolerance: float = 1e-3
    dropout: float = 0.1
    fit_batch_size: int = 32
    grad_batch_size: int = 64
    split: str = "dev"
    held_out: float = 0.1

    def __post_init__(self) -> None:
        """ConfigError where a value has no meaning."""
        where = "weighting.probe"
        check_ranges(where, self, lr="[0, inf)", weight_decay="[0, inf)", tolerance="[0, inf)")
        check_ranges(where, self, dropout="[0, 1)", held_out="(0, 1)", steps="[1, inf)")
        check_ranges(where, self, fit_batch_size="[1, inf)", grad_batch_size="[1, inf)")
        check_choice(f"{where}.split", self.split, ("dev", "train"))


class Weighting(nn.Module, ABC):
    """Decides how much each objective counts. It sees `Signals`, never the model.

    All state that changes in training is in buffers and parameters, so that `to` moves it and
    `state_dict` saves it. A weighting has two ways to learn, and may use both:

    * `update(signals)` changes buffers after each step;
    * parameters are trained: `tartan.backward` sets their `.grad` to the gradient of
      `loss(signals)`. A run steps them by AdamW with `lr`, without weight decay, and clips them by
      themselves; in a training loop of your own, give `weighting.parameters()` to the optimiser.

    Attributes:
        lr: peak learning rate of the weighting's parameters in a run.
    """

    Options: ClassVar[type]
    """A dataclass of the weighting's options with their defaults; unknown options are refused."""
    needs: ClassVar[Needs]
    """The most that any step measures; its cost is shown before a run."""
    paper: ClassVar[str] = ""
    """Where the method was published: authors, venue, year."""
    use: ClassVar[str] = ""
    """When to use it, in one sentence."""
    end_task_first: ClassVar[bool] = False
    """True where the rule gives the end task, or its dev loss, a part that no other has."""
    share_lr: ClassVar[str] = ""
    """The option with the learning rate of the end task's weight, where weights are learned shares
    of all objectives, whatever the lengths of their gradients. A run reports, once in each stage,
    that the end task's share is next to nothing."""
    signed: ClassVar[bool] = False
    """True where a weight may be negative: the body follows it; the objective's head gets 0."""
    waits: ClassVar[bool] = False
    """True where it computes on the CPU, so that each step waits for the device."""
    fewest: ClassVar[int] = 1
    """The fewest objectives that it weighs."""
    lr: float = 1e-3

    @abstractmethod
    def __init__(self, options: Any, objectives: tuple[str, ...]) -> None:
        """`options` is an instance of `Options`; `objectives` are names, a primary first."""
        super().__init__()

    @property
    def probe(self) -> ProbeOptions:
        """How to take the dev gradient; read only where `needs` has DEV."""
        return ProbeOptions()

    def due(self, step: int) -> Needs:
        """Return what this step measures: `needs`, or less. It depends on the step alone."""
        return self.needs

    @abstractmethod
    def weights(self) -> Tensor:
        """Return what each objective's mean loss counts now: [objectives] float.

        At least 0, unless `signed`.
        """

    def active(self, step: int, rng: torch.Generator) -> Sequence[int] | None:
        """Return the indices of the objectives that a step computes, ascending; None for all.

        Override it to save the cost of the others, whose data and state then stay as they are. The
        first objective, the end task where it trains, is always among them. The choice is a
        function of the state, the step and `rng`, a CPU generator that follows from seed and step.
        A run whose weighting overrides it waits for the device once in each step.
        """
        return None

    def chances(self) -> Tensor:
        """Return the probability with which a step computes each objective now: [objectives] float.

        1 for all, unless overridden together with `active`. Their sum is the number of objectives
        of a step, from which a run's cost is computed.
        """
        return torch.ones_like(self.weights())

    def applied(self, active: Tensor) -> Tensor:
        """Return what each objective counts in a step that computes only some: [objectives] float.

        `weights`, unless overridden. `weights`, which a run reports at its end, should be the mean
        over the choices of `active`, or the weights of a step that computes all. Values of
        objectives that are not computed are ignored.

        Args:
            active: [objectives] bool, whether the step computes each.
        """
        return self.weights()

    def describe(self, factors: Mapping[str, Mapping[str, str]]) -> None:
        """Receive what the objectives are composed of, once, before any step and any saved state.

        The default does nothing.

        Args:
            factors: by objective, the result of `Objective.factors`.
        """

    def budget(self, steps: int) -> None:
        """Receive how many steps it will weigh at most, once, before any step and any saved state.

        The default does nothing.
        """

    def combine(self, signals: Signals) -> Tensor:
        """Return the weights of the step just measured, where GRADIENTS kept its gradients.

        Override it to solve for weights on this step's own Gramian. It is not differentiated:
        parameters that it reads are trained by `loss`.
        """
        return self.weights() if signals.active is None else self.applied(signals.active)

    def loss(self, signals: Signals) -> Tensor:
        """Return the loss that the weighting's parameters minimise, [] float.

        The weighted sum of the objectives' mean losses, unless overridden. It is computed once a
        step from the losses of the whole effective batch, however many micro-batches there are.
        """
        return self.weights() @ signals.losses.to(self.weights())

    def update(self, signals: Signals) -> None:
        """Learn from a step's signals. Where it raises, a run restores the state before the step.

        The default does nothing.
        """


def samples(weighting: type[Weighting]) -> bool:
    """Return whether a weighting chooses which objectives a step computes."""
    return weighting.active is not Weighting.active
