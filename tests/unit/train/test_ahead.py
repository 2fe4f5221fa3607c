"""Batches made ahead are the batches that would have been made, errors included."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest.mock import create_autospec

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from support.command import SMALL
from support.context import ROWS
from support.experiments import built
from tartan import DataError
from tartan.data import Stream
from tartan.seeding import generator
from tartan.train.ahead import Ahead
from tartan.train.checkpoint import Checkpoints
from tartan.train.interrupt import Interrupts
from tartan.train.observer import Observer
from tartan.train.stage import Stage
from tartan.train.trainer import Trainer


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "tartan-ahead"]


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Callable[[], None]:
    yield
    for thread in threads():
        thread.join(timeout=10)
    assert threads() == []


def test_the_next_is_made_while_the_current_one_is_used():
    made = threading.Event()
    ahead = Ahead(lambda number: (number, number == 1 and made.set())[0])
    assert ahead(0) == 0
    assert made.wait(timeout=10), "nobody has asked for 1"
    assert ahead(1) == 1


@given(st.lists(st.integers(0, 9), max_size=12))
def test_any_number_can_be_asked_for_at_any_time(numbers):
    ahead = Ahead(lambda number: number * number)
    assert [ahead(number) for number in numbers] == [number * number for number in numbers]


def test_things_are_made_one_at_a_time():
    busy = threading.Lock()

    def make(number: int) -> int:
        assert busy.acquire(blocking=False)
        time.sleep(0.01)
        busy.release()
        return number

    ahead = Ahead(make)
    assert [ahead(number) for number in (0, 1, 5, 5, 6, 0)] == [0, 1, 5, 5, 6, 0]


def test_an_error_is_met_where_its_thing_is_asked_for():
    def make(number: int) -> int:
        if number == 2:
            raise DataError("row 7 cannot be used")
        return number

    ahead = Ahead(make)
    assert [ahead(0), ahead(1)] == [0, 1]
    for _ in range(2):
        with pytest.raises(DataError, match=r"^row 7 cannot be used$") as caught:
            ahead(2)
        assert caught.traceback[-1].name == "make", "it says where it comes from"
    assert ahead(3) == 3


def test_what_nobody_asks_for_may_fail_unseen():
    ahead = Ahead([10, 11].__getitem__)
    assert [ahead(0), ahead(1)] == [10, 11]


def test_nothing_is_being_made_after_a_wait():
    made: list[int] = []

    def make(number: int) -> int:
        time.sleep(0.05 * number)
        made.append(number)
        return number

    ahead = Ahead(make)
    ahead.wait()
    ahead(0)
    ahead.wait()
    assert made == [0, 1]
    assert threads() == []


def test_a_stage_ends_when_the_batches_of_the_step_after_it_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The first batches of the next stage would be made beside them."""
    left: list[int] = []

    def take_steps(trainer: Trainer, stage: Stage) -> None:
        made = Ahead(lambda number: time.sleep(0.2 * number))
        made(0)
        stage.step._batches = made

    def end(trainer: Trainer, stage: Stage, weights: object) -> None:
        left.append(len(threads()))
        trainer._progress = replace(trainer._progress, finished=True)

    monkeypatch.setattr(Trainer, "_take_steps", take_steps)
    monkeypatch.setattr(Trainer, "_end", end)
    found, saved = built(*SMALL), Checkpoints(tmp_path, 1)
    observer = create_autospec(Observer, instance=True)
    with Interrupts() as interrupts:
        Trainer(found.setup, found.stages, found.milestones, saved, observer, interrupts).train()
    assert left == [0]


def test_random_choices_are_those_of_the_number_alone():
    stream = Stream(ROWS, 3, 0, "mlm")

    def make(number: int) -> list[float]:
        drawn = torch.rand(4, generator=generator(0, "collate", "mlm", number))
        return [*drawn.tolist(), *(row["label"] for row in stream.rows(number))]

    ahead = Ahead(make)
    made = []
    for number in range(20):
        torch.manual_seed(number)
        state = torch.get_rng_state()
        made.append(ahead(number))
        assert torch.equal(torch.get_rng_state(), state)
    assert made == [make(number) for number in range(20)]


def trained(*, ahead: bool) -> dict[str, torch.Tensor]:
    """The weights after some steps on the demo."""
    experiment = built("objectives=[mlm]", "weighting=meta", "accumulate=2", *SMALL)
    stage = Stage(experiment.setup, experiment.stages["joint"])
    if ahead:
        stage.step._batches = Ahead(stage.step._make_batches)
    for step in (0, 1, 2, 2, 4):
        stage.take(step)
    return experiment.setup.model.state_dict()


def test_training_is_the_same_to_the_last_bit():
    here, ahead = trained(ahead=False), trained(ahead=True)
    assert all(torch.equal(ahead[name], value) for name, value in here.items())
