"""Objectives that break one rule of their contract each, and otherwise behave."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from tartan import Batch, Context, Encoder, Loss, Objective, Packed, Row
from tartan.testing.end_task import TinyEndTask
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


class CountsEachItem(Faithful):
    def loss(self, hidden: Tensor, batch: Batch) -> Loss:
        losses = self.losses(hidden, batch)
        return Loss(losses.sum(), {"high": losses.detach() > 1})


class FaithfulEndTask(TinyEndTask):
    """Classifies texts; keeps every rule."""

    Options = Options


class HasNoScore(FaithfulEndTask):
    def score(self, outputs: Tensor, rows: Sequence[Row]) -> dict[str, float]:
        return {}


class GuessesWidths(FaithfulEndTask):
    def probe(self, dropout: float) -> nn.Module:
        return nn.Linear(3, 1)


class OwnHead(nn.Module):
    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.inner = head

    def forward(self, hidden: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.inner(hidden, mask)


class HasAHeadOfItsOwn(FaithfulEndTask):
    def __init__(self, options: Any, context: Context) -> None:
        super().__init__(options, context)
        self.head = OwnHead(self.head)


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
    "metrics_are_sums_over_the_items": (CountsEachItem, "the metric high has shape ["),
    "an_end_task_scores_what_it_predicts": (HasNoScore, "score returns nothing, and `metrics` are"),
    "a_probe_takes_the_place_of_an_end_tasks_head": (GuessesWidths, "its probe cannot read its fe"),
    "an_end_tasks_head_can_be_exported": (HasAHeadOfItsOwn, "its `head` is a OwnHead, not one of"),
    "it_computes_where_the_body_is": (ChangesWhenMoved, ", the gradient of"),
}
"""By the rule it breaks: an objective, and a part of what is said of it."""
