"""Batches laid end to end are the batch that would have been collated."""

import pytest
import torch

from support.breakers import Faithful, Options
from tartan import Batch, Packed
from tartan.testing import Broken, ObjectiveContract
from tartan.testing.compare import same
from tartan.testing.trial import Trial, join
from tartan_objectives.classification import Classification, ClassificationOptions
from tartan_objectives.clm import CLM, CLMOptions


def batch(tokens: list[int], **targets: torch.Tensor) -> Batch:
    return Batch(Packed.of([tokens]), len(tokens), targets)


@pytest.mark.parametrize(
    ("cls", "options"), [(Classification, ClassificationOptions()), (CLM, CLMOptions())]
)
def test_joined_micro_batches_are_the_whole_batch(cls: type, options: object):
    trial = Trial.of(cls, options)
    parts = [trial.collate(trial.rows[start : start + 5]) for start in (0, 5, 10)]
    whole = trial.collate()
    assert same(join(parts), whole)
    assert join(parts).inputs.causal == whole.inputs.causal


def test_positions_move_along_and_sums_add_up():
    parts = [
        batch([5, 6, 7], positions=torch.tensor([1, 2]), loss=torch.tensor(1.5)),
        batch([8, 9], positions=torch.tensor([0]), loss=torch.tensor(2.0)),
    ]
    joined = join(parts)
    assert joined.targets["positions"].tolist() == [1, 2, 3]
    assert joined.targets["loss"] == 3.5
    assert joined.items == 5


def test_targets_that_cannot_be_laid_end_to_end_are_named():
    parts = [batch([5], grid=torch.zeros(1, 1)), batch([6, 7], grid=torch.zeros(2, 2))]
    with pytest.raises(Broken, match=r"cannot be laid end to end as Batch\.targets says: grid"):
        join(parts)


class Misnames(Faithful):
    """Gives places among the tokens another name than `positions`."""

    def collate(self, rows, rng):
        made = super().collate(rows, rng)
        targets = {"where": made.targets["positions"], "tokens": made.targets["tokens"]}
        return Batch(made.inputs, made.items, targets)

    def losses(self, hidden, batch):
        targets = {"positions": batch.targets["where"], "tokens": batch.targets["tokens"]}
        return super().losses(hidden, Batch(batch.inputs, batch.items, targets))


def test_places_under_another_name_than_positions_are_found():
    class Given(ObjectiveContract):
        objective = Misnames

    with pytest.raises(Broken, match="`positions` moved along"):
        Given().test_a_batch_is_the_sum_of_its_micro_batches()


def test_a_trial_starts_from_the_same_body_whatever_its_seed():
    one, other = (Trial.of(Faithful, Options(), seed=seed) for seed in (0, 1))
    pairs = zip(one.body.parameters(), other.body.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert not torch.equal(one.objective.head.weight, other.objective.head.weight)
