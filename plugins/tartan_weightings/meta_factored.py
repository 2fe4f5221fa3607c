"""Factored weights of sampled objectives that follow the dev gradient (AANG: Dery et al., 2022).

arXiv:2205.14082, published at ICLR 2023.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from tartan import (
    Needs,
    ProbeOptions,
    Signals,
    Weighting,
    bounded_logits,
    check_ranges,
    hookimpl,
)


@dataclass
class MetaFactoredOptions:
    """Options of `meta_factored`.

    Attributes:
        lr: learning rate of the auxiliaries' logits.
        end_lr: learning rate of the two logits of the end task and all auxiliaries together.
        sampled: auxiliary objectives that a step computes, besides the end task.
        every: steps between two measurements; the steps between cost what `static` costs.
        spread: largest difference of two logits, which bounds how little an objective can count.
        probe: how the dev gradient is taken.
    """

    lr: float = 0.1
    end_lr: float = 0.01
    sampled: int = 3
    every: int = 3
    spread: float = 6.0
    probe: ProbeOptions = field(default_factory=ProbeOptions)


class MetaFactored(Weighting):
    """Weights of composed objectives, whose logits are sums over what they are composed of.

    The logit of an auxiliary with data d, transform t, attention r and output o is

        W[d, t, r, o] + W[d] + W[t] + W[r] + W[o]

    and that of an objective without such factors has its own part only. The weights of the
    auxiliaries are the softmax of these, times the share of all auxiliaries, which is part of a
    second softmax of two logits: the end task's, and one for all auxiliaries. All logits start at
    0. Each step computes the end task and `sampled` auxiliaries, uniformly without replacement, and
    the softmax is over those. As in META, a logit rises by its learning rate times the cosine with
    the dev gradient of every objective that it belongs to; the auxiliaries' common logit by the
    mean of their cosines by weight, which takes no gradient of the sum. The logits of one factor's
    values differ by at most `spread`, and so do those of a step's auxiliaries.
    """

    Options = MetaFactoredOptions
    needs: ClassVar[Needs] = Needs.LOSSES | Needs.DEV
    paper = "Dery et al., AANG, ICLR 2023"
    use = "for many composed objectives (`objectives=[aang]`), of which a step computes a few"
    end_task_first = True
    share_lr = "end_lr"
    ends: Tensor
    own: Tensor
    shared: Tensor
    _belongs: Tensor

    def __init__(self, options: MetaFactoredOptions, objectives: tuple[str, ...]) -> None:
        super().__init__(options, objectives)
        check_ranges("weighting", options, lr="[0, inf)", end_lr="[0, inf)")
        # The softmax of a difference of 88 is 0 in float32.
        check_ranges("weighting", options, sampled="[1, inf)", every="[1, inf)", spread="(0, 80]")
        self._options, self._names = options, objectives[1:]
        self.register_buffer("ends", torch.zeros(2))
        self.register_buffer("own", torch.zeros(len(self._names)))
        self.describe({})

    def describe(self, factors: Mapping[str, Mapping[str, str]]) -> None:
        """Make a logit for each value of each factor of the auxiliaries."""
        parts = {name: set(factors.get(name, {}).items()) for name in self._names}
        values = sorted(set().union(*parts.values()))
        rows = [[float(value in parts[name]) for value in values] for name in self._names]
        belongs = torch.tensor(rows).reshape(len(self._names), len(values))
        self._sizes = [*Counter(factor for factor, _ in values).values()]
        self.register_buffer("_belongs", belongs, persistent=False)  # the objectives say them
        self.register_buffer("shared", torch.zeros(len(values)))

    @property
    def probe(self) -> ProbeOptions:
        """The options' probe."""
        return self._options.probe

    def due(self, step: int) -> Needs:
        """Measure the dev gradient in every `every`-th step, losses alone between."""
        return self.needs if step % self._options.every == 0 else Needs.LOSSES

    def active(self, step: int, rng: torch.Generator) -> Sequence[int] | None:  # noqa: ARG002
        """Sample the auxiliaries of a step, uniformly without replacement."""
        order = torch.randperm(len(self._names), generator=rng)[: self._options.sampled]
        return [0, *sorted((order + 1).tolist())]

    def chances(self) -> Tensor:
        """Return the chances, [objectives]: 1 for the end task, equal for the others."""
        count = len(self._names)
        chances = torch.full_like(self.own, min(self._options.sampled, count) / max(count, 1))
        return torch.cat([self.ends.new_ones(1), chances])

    def logits(self) -> Tensor:
        """Return the auxiliaries' logits, [auxiliaries]."""
        return self.own + self._belongs @ self.shared

    def weights(self) -> Tensor:
        """Return the weights of a step that computes all, [objectives]; their sum is 1."""
        return self.applied(torch.ones(len(self._names) + 1, device=self.own.device) > 0)

    def applied(self, active: Tensor) -> Tensor:
        """Return the weights of a step's objectives, [objectives]; their sum is 1."""
        if not self._names:
            return self.ends.new_ones(1)
        end, others = bounded_logits(self.ends, self._options.spread).softmax(0)
        absent = ~active[1:]
        logits = bounded_logits(self.logits().masked_fill(absent, -1e30), self._options.spread)
        return torch.cat([end[None], others * logits.masked_fill(absent, -1e30).softmax(0)])

    def update(self, signals: Signals) -> None:
        """Take one step of the logits if the step measured the dev gradient."""
        cosines = signals.alignment
        if cosines is None or not self._names:
            return
        cosines = cosines.to(self.own)
        share = signals.weights[1:].to(cosines)
        mean = share @ cosines[1:] / share.sum().clamp(min=1e-12)
        ends = self.ends + self._options.end_lr * torch.stack([cosines[0], mean])
        active = torch.ones_like(cosines) if signals.active is None else signals.active.to(cosines)
        step = self._options.lr * (active * cosines)[1:]
        spread = self._options.spread
        self.ends = bounded_logits(ends, spread)
        self.own = bounded_logits(self.own + step, spread)
        shared = self.shared + self._belongs.T @ step
        if self._sizes:
            parts = [bounded_logits(part, spread) for part in shared.split(self._sizes)]
            self.shared = torch.cat(parts)


@hookimpl
def tartan_weightings() -> dict[str, type[Weighting]]:
    """Offer `meta_factored`."""
    return {"meta_factored": MetaFactored}
