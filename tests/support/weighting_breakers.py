"""Weightings that break one rule of their contract each, and otherwise behave."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from support.breakers import Demanding, Options
from tartan import Needs, Signals, Weighting


class Learning(Weighting):
    """A softmax of logits that follow the losses; keeps every rule."""

    Options = Options
    needs: ClassVar[Needs] = Needs.LOSSES
    logits: Tensor

    def __init__(self, options: Any, objectives: tuple[str, ...]) -> None:
        super().__init__(options, objectives)
        self.register_buffer("logits", torch.zeros(len(objectives)))

    def weights(self) -> Tensor:
        return self.logits.softmax(0)

    def update(self, signals: Signals) -> None:
        self.logits = self.logits - 0.1 * signals.losses


class WantsAWeightOption(Learning):
    Options = Demanding


class Inverts(Learning):
    def update(self, signals: Signals) -> None:
        self.logits = (1 / signals.losses).log()


class CountsByPlace(Learning):
    def weights(self) -> Tensor:
        return (self.logits + torch.arange(len(self.logits), device=self.logits.device)).softmax(0)


class Forgets(Learning):
    def __init__(self, options: Any, objectives: tuple[str, ...]) -> None:
        super().__init__(options, objectives)
        self.register_buffer("logits", self.logits, persistent=False)


class StaysBehind(Learning):
    """Keeps its rates where they were made."""

    def __init__(self, options: Any, objectives: tuple[str, ...]) -> None:
        super().__init__(options, objectives)
        self.rates = torch.full((len(objectives),), 0.1)


class MeetsAnotherDevice(Learning):
    """Computes with a tensor of the CPU, wherever it is."""

    def update(self, signals: Signals) -> None:
        self.logits = self.logits - torch.full((len(self.logits),), 0.1) * signals.losses


class DrawsWeightsGlobally(Learning):
    def update(self, signals: Signals) -> None:
        self.logits = self.logits + torch.rand(())


class Hopes(Learning):
    """Decide by the Gramian without declaring that it is needed."""

    def update(self, signals: Signals) -> None:
        if signals.gramian is None:
            super().update(signals)


class ClearsTheLosses(Learning):
    def update(self, signals: Signals) -> None:
        super().update(signals)
        signals.losses.zero_()


class AsksForMore(Learning):
    def due(self, step: int) -> Needs:
        return Needs.LOSSES | Needs.DEV if step == 3 else Needs.LOSSES


class Waits(Learning):
    def update(self, signals: Signals) -> None:
        self.logits = self.logits - 0.1 * torch.tensor(signals.losses.tolist())


class Sampling(Learning):
    """Computes the end task and one other objective, chosen uniformly; keeps every rule."""

    def active(self, step: int, rng: torch.Generator) -> Sequence[int] | None:
        return [0, 1 + int(torch.randint(len(self.logits) - 1, (), generator=rng))]

    def chances(self) -> Tensor:
        chances = torch.full_like(self.logits, 1 / max(len(self.logits) - 1, 1))
        return chances.index_fill(0, torch.zeros_like(chances[:1], dtype=torch.int64), 1.0)

    def update(self, signals: Signals) -> None:
        active = 1 if signals.active is None else signals.active
        self.logits = self.logits - 0.1 * signals.losses * active


class NamesTheEndTaskLast(Sampling):
    def active(self, step: int, rng: torch.Generator) -> Sequence[int] | None:
        return [*(super().active(step, rng) or ())][::-1]


class ChoosesAgain(Sampling):
    """Chooses another objective if it is asked again about a step."""

    asked = -1

    def active(self, step: int, rng: torch.Generator) -> Sequence[int] | None:
        first, other = super().active(step, rng) or (0, 1)
        again, self.asked = step == self.asked, step
        return [first, 1 + other % (len(self.logits) - 1) if again else other]


class ExpectsHalf(Sampling):
    def chances(self) -> Tensor:
        return torch.full_like(self.logits, 0.5)


class LearnsFromZeros(Sampling):
    def update(self, signals: Signals) -> None:
        self.logits = self.logits - 0.1 * signals.losses


WEIGHTINGS: Mapping[str, tuple[type[Weighting], str]] = {
    "options_are_strict": (WantsAWeightOption, "Demanding cannot be created without values"),
    "weights_are_finite_and_not_negative": (Inverts, "a step with all losses zero its weights"),
    "permuting_the_auxiliaries_permutes_their_weights": (CountsByPlace, "in the other order"),
    "it_resumes_exactly_from_its_state": (Forgets, "resumed at step 4, at step 4 its weights are"),
    "its_state_moves_with_it": (StaysBehind, "rates: a tensor that is neither a buffer nor"),
    "random_choices_are_the_steps_own": (DrawsWeightsGlobally, "draws from torch's global gener"),
    "declared_needs_are_enough": (Hopes, "reads signals.gramian, which its `needs` do not decl"),
    "signals_are_left_as_they_were": (ClearsTheLosses, "at step 0 it modifies losses of its sig"),
    "the_cost_declared_is_the_cost_measured": (AsksForMore, "at step 3 it needs Needs.LOSSES|D"),
    "nothing_waits_for_the_device": (Waits, "it waits for the device: Tensor.tolist"),
    "a_step_computes_the_end_task_and_objectives_that_exist": (
        NamesTheEndTaskLast,
        "step 0 of 4 objectives computes those at [",
    ),
    "its_choice_follows_from_its_state_and_the_step": (ChoosesAgain, "and asked again [0, "),
    "its_chances_are_those_of_its_choices": (ExpectsHalf, "its chances are [0.5, 0.5, 0.5, 0.5]"),
    "it_learns_nothing_from_objectives_that_are_not_computed": (
        LearnsFromZeros,
        "at step 0 its weights become",
    ),
}
"""By the rule it breaks: a weighting, and a part of what is said of it."""
