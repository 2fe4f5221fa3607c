"""Composed objectives: known points are known objectives; points without meaning are refused."""

from itertools import product

import pytest
import torch
from torch.testing import assert_close

from support.context import ROWS, TinyContext
from tartan import Batch, ConfigError, CorpusOptions, ModelError, Packed
from tartan.testing import tiny_source
from tartan_objectives.clm import CLM
from tartan_objectives.composed.objective import Composed
from tartan_objectives.composed.options import (
    ATTENTIONS,
    OUTPUTS,
    TRANSFORMS,
    ComposedOptions,
    illegal,
)
from tartan_objectives.composed.shuffled import Shuffled, ShuffledOptions
from tartan_objectives.mlm import MLM, MLMOptions

LEGAL = [
    point for point in product(TRANSFORMS, ATTENTIONS, OUTPUTS) if illegal(*point) is None
]  # fmt: skip


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make(given: TinyContext, transform: str, attention: str, output: str) -> Composed:
    options = ComposedOptions(transform=transform, attention=attention, output=output)
    return Composed(options, given).eval()


def same(one: Batch, other: Batch) -> None:
    assert torch.equal(one.inputs.input_ids, other.inputs.input_ids)
    assert one.inputs.causal == other.inputs.causal
    assert one.items == other.items
    assert all(torch.equal(one.targets[name], other.targets[name]) for name in other.targets)


def test_its_defaults_are_masked_language_modelling(given: TinyContext):
    ours, mlm = Composed(ComposedOptions(), given).eval(), MLM(MLMOptions(), given).eval()
    ours.head.load_state_dict(mlm.head.state_dict())
    one, other = ours.collate(ROWS, rng()), mlm.collate(ROWS, rng())
    same(one, other)
    hidden = given.body.eval()(one.inputs)
    assert_close(ours.loss(hidden, one).total, mlm.loss(hidden, other).total)


def test_nothing_changed_left_to_right_and_next_is_causal_language_modelling(given: TinyContext):
    ours = make(given, "none", "left_to_right", "next")
    clm = CLM(CorpusOptions(), given).eval()
    ours.head.load_state_dict(clm.head.state_dict())
    one, other = ours.collate(ROWS, rng()), clm.collate(ROWS, rng())
    same(one, other)
    hidden = given.body.eval()(one.inputs)
    assert_close(ours.loss(hidden, one).total, clm.loss(hidden, other).total)


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_a_token_attends_to_those_of_its_attention_alone(attention: str, given: TinyContext):
    """Changing a token changes the hidden states of exactly those that attend to it."""
    objective, body = make(given, "replace", attention, "original"), given.body.eval()
    batch = objective.collate([{"input_ids": [0, 5, 6, 7, 8, 9, 2]}], rng(1))
    inputs = batch.inputs
    every = Packed(inputs.input_ids, inputs.lengths, causal=inputs.causal, places=inputs.places)
    before = body(every)
    place = every.positions.tolist()
    order = {
        "both": lambda one, other: True,
        "left_to_right": lambda one, other: one >= other,
        "right_to_left": lambda one, other: one <= other,
        "random": lambda one, other: place.index(one) >= place.index(other),
    }[attention]
    for changed in range(7):
        tokens = every.input_ids.clone()
        tokens[place.index(changed)] = 40
        after = body(every.with_input_ids(tokens))
        moved = (before - after).abs().amax(1) > 1e-6
        assert [bool(moved[place.index(p)]) for p in range(7)] == [
            order(p, changed) for p in range(7)
        ]


def test_backwards_a_token_predicts_the_one_before_it(given: TinyContext):
    batch = make(given, "none", "right_to_left", "next").collate(
        [{"input_ids": [0, 5, 6, 2]}, {"input_ids": [0, 7, 2]}], rng()
    )
    assert batch.inputs.input_ids.tolist() == [2, 6, 5, 0, 2, 7, 0]
    assert batch.inputs.positions.tolist() == [3, 2, 1, 0, 2, 1, 0]
    assert batch.targets["indices"].tolist() == [0, 1, 2, 4, 5]
    assert batch.targets["tokens"].tolist() == [6, 5, 0, 7, 0]


def test_in_random_order_the_head_knows_the_place_to_predict(given: TinyContext):
    objective = make(given, "none", "random", "next")
    batch = objective.collate([{"input_ids": [0, *range(5, 25), 2]}] * 3, rng())
    ids, places = batch.inputs.input_ids, batch.inputs.positions
    assert ids.view(3, -1).sort(1).values.eq(torch.tensor([0, 2, *range(5, 25)])).all()
    assert (ids.view(3, -1)[0] != ids.view(3, -1)[1]).any()
    indices = batch.targets["indices"]
    assert torch.equal(batch.targets["tokens"], ids[indices + 1])
    assert torch.equal(batch.targets["target_places"], places[indices + 1])
    assert objective.place is not None
    hidden = given.body.eval()(batch.inputs)
    blind = objective.loss(hidden, batch).total
    torch.nn.init.normal_(objective.place.weight)
    assert objective.loss(hidden, batch).total != blind


def test_shuffled_tokens_stay_in_their_text(given: TinyContext):
    rows = [{"input_ids": [0, *range(5, 30), 2]}, {"input_ids": [0, *range(30, 60), 2]}]
    batch = Shuffled(ShuffledOptions(share=0.5), given).collate(rows, rng())
    for row, part in zip(rows, batch.inputs.input_ids.split([27, 32]), strict=True):
        assert sorted(part.tolist()) == sorted(row["input_ids"])
        assert (part[0], part[-1]) == (0, 2)
    original = torch.tensor([token for row in rows for token in row["input_ids"]])
    assert torch.equal(batch.targets["changed"], batch.inputs.input_ids != original)
    assert 0.2 < batch.targets["changed"].float().mean() < 0.6


@pytest.mark.parametrize(
    ("point", "reason"),
    [
        (("none", "both", "original"), "nothing is changed, so output=original has nothing"),
        (("mask", "both", "next"), "each token sees the next one: set attention=left_to_right"),
        (("shuffle", "left_to_right", "next"), "the next token may have been shuffled before"),
        (("bert", "both", "changed"), "a mask token tells that it was changed"),
    ],
)
def test_what_has_no_meaning_is_refused_with_the_reason(
    point: tuple[str, str, str], reason: str, given: TinyContext
):
    with pytest.raises(ConfigError) as refused:
        make(given, *point)
    start = "objectives.mine: transform={}, attention={} and output={} cannot be combined: "
    assert str(refused.value).startswith(start.format(*point) + reason)


@pytest.mark.parametrize("point", LEGAL)
def test_every_other_point_trains_head_and_body(point: tuple[str, str, str], given: TinyContext):
    objective = make(given, *point)
    batch = objective.collate(ROWS, rng())
    loss = objective.loss(given.body(batch.inputs), batch).total
    loss.backward()
    assert loss.isfinite()
    assert loss > 0
    assert all(p.grad is not None and p.grad.any() for p in objective.parameters())


def test_there_are_52_points_on_each_corpus():
    assert len(LEGAL) == 52


@pytest.mark.parametrize("family", ["roberta", "electra", "distilbert"])
def test_other_families_read_in_another_order(family: str):
    make(TinyContext(tiny_source(family)), "none", "right_to_left", "next")


def test_a_family_that_reads_by_distance_is_refused():
    context = TinyContext(tiny_source("deberta-v2"))
    with pytest.raises(ModelError, match=r"^deberta-v2 cannot read the tokens of a text in anoth"):
        context.check_places()
