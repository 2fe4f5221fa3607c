"""Plugins that break one rule of their contract each, and otherwise behave."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from tartan import Batch, Context, Encoder, Loss, Needs, Objective, Packed, Row, Signals, Weighting
from tartan.testing.world import world


@dataclass
class Options:
    share: float = 0.5


class Faithful(Objective):
    """Predicts hidden tokens; keeps every rule."""

    Options = Options

    def __init__(self, options: Any, context: Context) -> None:
        super().__init__(options, context)
        self.share = options.share
        self.rows = context.corpus("task")
        self.head = nn.Linear(context.hidden_size, len(context.tokenizer))

    def examples(self) -> Sequence[Row]:
        return self.rows

    def collate(self, rows: Sequence[Row], rng: torch.Generator) -> Batch:
        packed = Packed.of([row["input_ids"] for row in rows])
        tokens = packed.input_ids
        hide = torch.rand(tokens.shape, generator=rng) < self.share
        hidden = hide.nonzero().squeeze(1)
        inputs = packed.with_input_ids(tokens.masked_fill(hide, 4))
        targets = {"hidden": hidden, "tokens": tokens[hidden]}
        return Batch(inputs, len(hidden), targets, token_indices=("hidden",))

    def loss(self, hidden: Tensor, batch: Batch) -> Loss:
        return Loss(self.losses(hidden, batch).sum())

    def losses(self, hidden: Tensor, batch: Batch) -> Tensor:
        logits = self.head(hidden[batch.targets["hidden"]]).float()
        return functional.cross_entropy(logits, batch.targets["tokens"], reduction="none")


@dataclass
class Demanding:
    share: float


class ComputesOnTheHost(Faithful):
    """Its targets' weights never reach the device."""

    def losses(self, hidden: Tensor, batch: Batch) -> Tensor:
        losses = super().losses(hidden, batch)
        return losses * torch.ones(len(losses))


class WantsAnOption(Faithful):
    Options = Demanding


class Remembers(Faithful):
    batches = 0

    def collate(self, rows: Sequence[Row], rng: torch.Generator) -> Batch:
        self.batches += 1
        return replace(super().collate(rows, rng), seed=self.batches)


class DrawsGlobally(Faithful):
    def collate(self, rows: Sequence[Row], rng: torch.Generator) -> Batch:
        torch.rand(())
        return super().collate(rows, rng)


class SparesTheBody(Faithful):
    def losses(self, hidden: Tensor, batch: Batch) -> Tensor:
        return super().losses(hidden.detach(), batch)


class HasASpareLayer(Faithful):
    def __init__(self, options: Any, context: Context) -> None:
        super().__init__(options, context)
        self.spare = nn.Linear(2, 2)


class MarksRows(Faithful):
    def collate(self, rows: Sequence[Row], rng: torch.Generator) -> Batch:
        for row in rows:
            row["seen"] = True
        return super().collate(rows, rng)


class TakesTheMean(Faithful):
    def loss(self, hidden: Tensor, batch: Batch) -> Loss:
        return Loss(self.losses(hidden, batch).mean())


class PrefersTheFirst(Faithful):
    """Predicts every token, and the more eagerly the earlier it stands in the batch."""

    separable: ClassVar[bool] = False

    def collate(self, rows: Sequence[Row], rng: torch.Generator) -> Batch:
        packed = Packed.of([row["input_ids"] for row in rows])
        tokens = packed.input_ids
        targets = {"hidden": torch.arange(len(tokens)), "tokens": tokens}
        return Batch(packed, len(tokens), targets, token_indices=("hidden",))

    def loss(self, hidden: Tensor, batch: Batch) -> Loss:
        return Loss(self.losses(hidden, batch) @ torch.linspace(1, 0, batch.items).to(hidden))


class LooksHowItWasRead(Faithful):
    def losses(self, hidden: Tensor, batch: Batch) -> Tensor:
        padded = hidden.grad_fn is not None and "Take" in hidden.grad_fn.name()
        return super().losses(hidden, batch) * (2 if padded else 1)


class LooksElsewhere(Faithful):
    def collate(self, rows: Sequence[Row], rng: torch.Generator) -> Batch:
        batch = super().collate(rows, rng)
        return replace(batch, inputs=batch.inputs.want(batch.targets["hidden"]))

    def losses(self, hidden: Tensor, batch: Batch) -> Tensor:
        return super().losses(hidden, batch) + 0 * hidden.sum()


class NeedsPrecision(Faithful):
    """Adds 0 times the logarithm of a thousandth, which bfloat16 rounds to 0."""

    def losses(self, hidden: Tensor, batch: Batch) -> Tensor:
        almost_one = functional.linear(hidden.new_ones(1, 1), hidden.new_tensor([[1.001]]))
        return super().losses(hidden, batch) + 0 * (almost_one - 1).log().sum()


class HidesState(Faithful):
    def __init__(self, options: Any, context: Context) -> None:
        super().__init__(options, context)
        self.offset = [torch.rand(context.hidden_size)]

    def losses(self, hidden: Tensor, batch: Batch) -> Tensor:
        return super().losses(hidden + self.offset[0].to(hidden), batch)


class LooksAhead(Faithful):
    def __init__(self, options: Any, context: Context) -> None:
        super().__init__(options, context)
        self.peek = {"then": world().texts.split("test")}


class CannotTravel(Faithful):
    def __init__(self, options: Any, context: Context) -> None:
        super().__init__(options, context)
        self.key = lambda row: len(row["input_ids"])


class RunsTheBodyTwice(Faithful):
    def compute(self, body: Encoder, batch: Batch) -> Loss:
        body(batch.inputs)
        return self.loss(body(batch.inputs), batch)


class SelectsByMask(Faithful):
    def collate(self, rows: Sequence[Row], rng: torch.Generator) -> Batch:
        batch = super().collate(rows, rng)
        mask = torch.zeros(len(batch.inputs.input_ids), dtype=torch.bool)
        mask[batch.targets["hidden"]] = True
        return replace(batch, targets={**batch.targets, "mask": mask})

    def losses(self, hidden: Tensor, batch: Batch) -> Tensor:
        logits = self.head(hidden[batch.targets["mask"]]).float()
        return functional.cross_entropy(logits, batch.targets["tokens"], reduction="none")


class ChangesWhenMoved(Faithful):
    moves = 0

    def to(self, *arguments: Any, **options: Any) -> "ChangesWhenMoved":
        self.moves += 1
        return super().to(*arguments, **options)

    def losses(self, hidden: Tensor, batch: Batch) -> Tensor:
        return super().losses(hidden, batch) * 2**self.moves


OBJECTIVES: Mapping[str, tuple[type[Objective], str]] = {
    "options_are_strict": (
        WantsAnOption,
        "Demanding cannot be created without values",
    ),
    "the_same_seed_gives_the_same_batch_and_loss": (
        Remembers,
        "two different batches for one",
    ),
    "the_global_random_state_is_left_alone": (DrawsGlobally, "collate uses the global generator"),
    "the_gradient_reaches_the_body": (SparesTheBody, "the gradient of the hidden states is zero"),
    "the_gradient_reaches_every_parameter_of_the_head": (HasASpareLayer, "spare.weight, spare.b"),
    "inputs_are_left_as_they_were": (MarksRows, "collate modifies its rows"),
    "a_batch_is_the_sum_of_its_micro_batches": (TakesTheMean, "split into micro-batches"),
    "the_order_of_sequences_does_not_matter": (
        PrefersTheFirst,
        "with its sequences in reverse",
    ),
    "packed_and_padded_bodies_agree": (LooksHowItWasRead, "with a body that pads, the gradient"),
    "only_wanted_hidden_states_are_read": (
        LooksElsewhere,
        "without the other tokens' hidden",
    ),
    "it_is_finite_under_bf16_autocast": (NeedsPrecision, "the loss is nan"),
    "state_round_trips_through_safetensors": (HidesState, "after loading"),
    "dev_and_test_rows_are_out_of_reach": (
        LooksAhead,
        "objective.peek['then'] holds row 0 of test",
    ),
    "it_can_be_sent_to_worker_processes": (CannotTravel, "it cannot be pickled"),
    "its_passes_are_those_it_declares": (
        RunsTheBodyTwice,
        "it makes 2 forward and 1 backward",
    ),
    "a_step_does_not_wait_for_the_device": (SelectsByMask, "it waits for the device: aten::index"),
    "it_computes_where_the_body_is": (ChangesWhenMoved, ", the gradient of"),
}
"""By the rule it breaks: an objective, and a part of what is said of it."""


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


class DrawsWeightsGlobally(Learning):
    def update(self, signals: Signals) -> None:
        self.logits = self.logits + torch.rand(())


class Hopes(Learning):
    """Would use the Gramian if anybody had asked for it."""

    def update(self, signals: Signals) -> None:
        if signals.gramian is None:
            super().update(signals)


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
