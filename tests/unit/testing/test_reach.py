"""A held-out row is found wherever an attribute, an item or a closure leads to it."""

from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from tartan.testing.reach import HeldOut, reachable
from tartan.testing.world import world


def found(root: object) -> dict[str, str]:
    held_out = HeldOut(world())
    return {way: row for way, each in reachable(root, "it") if (row := held_out.row(each))}


class Holder:
    def __init__(self, value: Any) -> None:
        self.value = value

    def method(self) -> None: ...


@dataclass(slots=True)
class Slotted:
    value: Any


def closing_over(value: Any) -> Any:
    return lambda: value


def by_default(value: Any) -> Any:
    def read(*, rows: Any = value) -> Any:
        return rows

    return read


@pytest.mark.parametrize(
    ("wrap", "way"),
    [
        (Holder, "it.value"),
        (Slotted, "it.value"),
        (lambda value: [0, {"key": value}], "it[1]['key']"),
        (closing_over, "it.__closure__[0]"),
        (by_default, "it.__kwdefaults__['rows']"),
        (lambda value: partial(print, value), "it.args[0]"),
        (lambda value: deque([value]), "it[0]"),
        (lambda value: Holder(value).method, "it.__self__.value"),
    ],
)
def test_whatever_it_is_wrapped_in(wrap: Any, way: str):
    text = world().task.dev[2]["text"]
    assert found(wrap(text)) == {way: f"row 2 of dev ({text!r})"}


def test_as_text_as_tokens_as_a_tensor_or_in_a_dataset():
    given = world()
    tokens = given.texts.split("test")[3]["input_ids"]
    assert found(tokens)["it"].startswith("row 3 of test")
    assert found(torch.tensor(tokens))["it"].startswith("row 3 of test")
    assert found(given.texts.split("test"))["it"].startswith("row 0 of test")
    assert found(given.task.dev)["it"].startswith("row 0 of dev")


def test_a_column_of_labels_is_held_out_too():
    labels = list(world().texts.split("dev")["label"])
    forms = (labels, tuple(labels), torch.tensor(labels), np.array(labels))
    for form in forms:
        assert found(Holder(form))["it.value"].startswith("the column label of")
    assert found(Holder(labels[:2])) == {}


def test_training_rows_and_corpora_are_nobodys_secret():
    given = world()
    assert found([given.task.train, given.texts.split("train"), *given.task.corpora.values()]) == {}


def test_a_context_that_held_the_task_would_be_found():
    given = world()
    context = given.context(given.body(), seed=0)
    assert found(context) == {}
    context.texts = given.texts
    assert any("of test" in row for row in found(context).values())


def test_what_leads_back_to_itself_is_walked_once():
    holder = Holder(None)
    holder.value = holder
    assert [way for way, _ in reachable(holder, "it")] == ["it"]
