"""Mistakes of objectives that no batch shows: rows that change, and frozen state that is lost."""

import random

import pytest
import torch
from torch import nn

from support.breakers import Faithful
from tartan import Objective
from tartan.testing import Broken, ObjectiveContract


def judge(cls: type[Objective], rule: str) -> None:
    getattr(type("It", (ObjectiveContract,), {"objective": cls})(), rule)()


class Rows:
    """Rows of which a number changes."""

    def __init__(self, rows):
        self.rows, self.reads = rows, 0

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, number):
        self.reads += 1
        return {**self.rows[number], "noise": self.noise()}


class Sampled(Rows):
    def noise(self):
        return random.random()


class ByEpoch(Rows):
    """As long as an epoch lasts, its rows are the same."""

    def noise(self):
        return self.reads // (len(self) + 1)


class OnceSampled(Rows):
    """Its rows are the same until the run is started again."""

    def __init__(self, rows):
        super().__init__(rows)
        self.chosen = random.random()

    def noise(self):
        return self.chosen


def reading(kind: type[Rows]) -> type[Faithful]:
    class Reads(Faithful):
        def __init__(self, options, context):
            super().__init__(options, context)
            self.rows = kind(self.rows)

    return Reads


@pytest.mark.parametrize(
    ("kind", "when"),
    [
        (Sampled, "is read again"),
        (ByEpoch, "is read again"),
        (OnceSampled, "is read after a restart"),
    ],
)
def test_rows_that_are_read_again_are_the_same(kind: type[Rows], when: str):
    with pytest.raises(Broken, match=rf"^examples\(\)\[\d+\] is another row when it {when}$"):
        judge(reading(kind), "test_the_same_seed_gives_the_same_batch_and_loss")


def test_rows_are_read_without_the_global_generators():
    with pytest.raises(Broken, match=r"^examples\(\)\[i\] uses the global generator of Python$"):
        judge(reading(Sampled), "test_the_global_random_state_is_left_alone")


class Following(Faithful):
    """Scores hidden states that a moving average of its own layer has changed."""

    frozen = True

    def __init__(self, options, context):
        super().__init__(options, context)
        size = context.hidden_size
        self.layer, self.average = nn.Linear(size, size), nn.Linear(size, size)
        self.average.requires_grad_(False)
        self.average.load_state_dict(self.layer.state_dict())

    def losses(self, hidden, batch):
        if self.training and self.frozen:
            with torch.no_grad():
                self.average.weight.lerp_(self.layer.weight, 0.1)
        return super().losses(self.average(hidden) + self.layer(hidden), batch)


class Fixed(Following):
    """A random layer that never changes is the same after a restart."""

    frozen = False

    def __init__(self, options, context):
        super().__init__(options, context)
        torch.nn.init.ones_(self.average.weight)
        torch.nn.init.ones_(self.average.bias)


def test_a_frozen_parameter_that_training_changes_is_in_no_checkpoint():
    rule = "test_state_round_trips_through_safetensors"
    judge(Fixed, rule)
    with pytest.raises(
        Broken,
        match=r"^training changes average.weight: checkpoints leave frozen parameters out, so make",
    ):
        judge(Following, rule)
