"""Batches laid end to end are the batch that would have been collated."""

import pytest
import torch
from torch.nn import functional

from support.breakers import Faithful, Options
from tartan import Batch, CorpusOptions, Loss, Packed
from tartan.testing import Broken, ObjectiveContract
from tartan.testing.compare import same
from tartan.testing.trial import Trial, join
from tartan_objectives.classification import Classification, ClassificationOptions
from tartan_objectives.clm import CLM


def batch(tokens: list[int], *indices: str, **targets: torch.Tensor) -> Batch:
    return Batch(Packed.of([tokens]), len(tokens), targets, token_indices=indices)


@pytest.mark.parametrize(
    ("cls", "options"), [(Classification, ClassificationOptions()), (CLM, CorpusOptions())]
)
def test_joined_micro_batches_are_the_whole_batch(cls: type, options: object):
    trial = Trial.of(cls, options)
    parts = [trial.collate(trial.rows[start : start + 5]) for start in (0, 5, 10)]
    whole = trial.collate()
    assert same(join(parts), whole)
    assert join(parts).inputs.causal == whole.inputs.causal


def test_declared_token_indices_are_shifted_and_sums_add_up():
    parts = [
        batch([5, 6, 7], "last", last=torch.tensor([1, 2]), loss=torch.tensor(1.5)),
        batch([8, 9], "last", last=torch.tensor([0]), loss=torch.tensor(2.0)),
    ]
    joined = join(parts)
    assert joined.targets["last"].tolist() == [1, 2, 3]
    assert joined.targets["loss"] == 3.5
    assert joined.items == 5


def test_targets_that_cannot_be_laid_end_to_end_are_named():
    parts = [batch([5], grid=torch.zeros(1, 1)), batch([6, 7], grid=torch.zeros(2, 2))]
    with pytest.raises(Broken, match=r"cannot be concatenated as Batch\.targets requires: grid"):
        join(parts)


class Pairs(Faithful):
    """Scores pairs of neighbouring tokens; its targets `left` and `right` are token indices."""

    declared = ("left", "right")

    def __init__(self, options, context):
        super().__init__(options, context)
        self.head = torch.nn.Linear(context.hidden_size, 1)

    def collate(self, rows, rng):
        packed = Packed.of([row["input_ids"] for row in rows])
        left = torch.arange(len(packed.input_ids) - 1)
        left = left[~torch.isin(left + 1, packed.starts)]
        swap = torch.rand(left.shape, generator=rng) < 0.5
        pair = {
            "left": torch.where(swap, left + 1, left),
            "right": torch.where(swap, left, left + 1),
        }
        targets = {**pair, "swapped": swap.float()}
        return Batch(packed, len(left), targets, token_indices=self.declared)

    def loss(self, hidden, batch):
        apart = hidden[batch.targets["left"]] - hidden[batch.targets["right"]]
        scores = self.head(apart).squeeze(1)
        total = functional.binary_cross_entropy_with_logits(
            scores, batch.targets["swapped"], reduction="sum"
        )
        return Loss(total)


class Undeclared(Pairs):
    declared = ()


def test_token_indices_of_any_name_are_shifted_where_they_are_declared():
    class Given(ObjectiveContract):
        objective = Pairs

    Given().test_a_batch_is_the_sum_of_its_micro_batches()
    Given().test_the_order_of_sequences_does_not_matter()


def test_the_rule_that_undeclared_token_indices_break_names_the_remedy():
    class Given(ObjectiveContract):
        objective = Undeclared

    with pytest.raises(Broken) as caught:
        Given().test_a_batch_is_the_sum_of_its_micro_batches()
    assert str(caught.value).endswith(
        "; if left, right hold indices of tokens, declare them: Batch(..., token_indices=('left', "
        "'right'))"
    )


@pytest.mark.parametrize(
    ("targets", "found"), [({}, "missing"), ({"places": torch.ones(2)}, "torch.float32")]
)
def test_token_indices_name_targets_that_can_be_indices(targets: dict, found: str):
    with pytest.raises(ValueError, match=f"names the target 'places', which is {found}"):
        Batch(Packed.of([[5, 6]]), 2, targets, token_indices=("places",))


def test_a_trial_starts_from_the_same_body_whatever_its_seed():
    one, other = (Trial.of(Faithful, Options(), seed=seed) for seed in (0, 1))
    pairs = zip(one.body.parameters(), other.body.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert not torch.equal(one.objective.head.weight, other.objective.head.weight)
