"""Token classification: which tokens it reads, how it scores spans, what its dev gradient is of."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close
from transformers import AutoModelForTokenClassification

from support.context import TinyContext
from tartan import Batch, ConfigError, ProbeOptions, Row, TagScheme
from tartan.train.dev_loss import DevLoss
from tartan.train.evaluate import evaluate
from tartan.train.model import JointModel
from tartan.train.runtime import Runtime
from tartan_objectives.tokens import Tokens, TokensOptions, described

CPU = Runtime(torch.device("cpu"), "fp32")
TAGS = ("B-PER", "I-PER", "O")
ROWS: Sequence[Row] = [
    {"input_ids": [0, *range(5, 5 + length), 2], "word_starts": list(range(1, 1 + length, step)),
     "label": [n % 3 for n in range(0, length, step)]}
    for length, step in ((3, 1), (9, 2), (1, 1), (6, 3), (7, 1))
]  # fmt: skip


class TaggedContext(TinyContext):
    def labelled(self) -> Sequence[Row]:
        return ROWS


@pytest.fixture
def given() -> Iterator[TaggedContext]:
    with torch.random.fork_rng():
        yield TaggedContext(labels=TAGS)


@pytest.fixture
def objective(given: TaggedContext) -> Tokens:
    return Tokens(TokensOptions(), given).eval()


def collate(objective: Tokens, rows: Sequence[Row] = ROWS) -> Batch:
    return objective.collate(rows, torch.Generator())


def test_items_are_the_words_and_their_first_tokens_are_read(objective: Tokens):
    batch = collate(objective, ROWS[:2])
    assert batch.items == 3 + 5
    assert batch.targets["word_starts"].tolist() == [1, 2, 3, 6, 8, 10, 12, 14]
    assert batch.targets["labels"].tolist() == [0, 1, 2, 0, 2, 1, 0, 2]


def test_the_loss_is_that_of_the_whole_model(objective: Tokens, given: TaggedContext):
    body = given.body.eval()
    config = objective.head.model.config
    whole = AutoModelForTokenClassification.from_config(config).eval()
    own = objective.head.model.state_dict()
    whole.load_state_dict(
        {f"bert.{k}": v for k, v in body.model.state_dict().items()} | own, strict=False
    )
    batch = collate(objective)
    labels = torch.full_like(batch.inputs.input_ids, -100)
    labels[batch.targets["word_starts"]] = batch.targets["labels"]
    expected = whole(
        input_ids=batch.inputs.pad(batch.inputs.input_ids, 1),
        attention_mask=batch.inputs.mask.long(),
        labels=batch.inputs.pad(labels, -100),
    ).loss
    found = objective.loss(body(batch.inputs), batch).total / batch.items
    assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_splitting_a_batch_splits_its_sum(objective: Tokens, given: TaggedContext):
    body = given.body.eval()
    batches = [collate(objective, rows) for rows in (ROWS, ROWS[:2], ROWS[2:])]
    whole, *parts = (objective.loss(body(batch.inputs), batch).total for batch in batches)
    assert_close(whole, sum(parts, torch.zeros(())))
    assert batches[0].items == batches[1].items + batches[2].items


def test_a_batch_without_a_word_has_no_loss(objective: Tokens, given: TaggedContext):
    batch = collate(objective, [{"input_ids": [0, 2], "word_starts": [], "label": []}])
    loss = objective.loss(given.body(batch.inputs), batch).total
    loss.backward()
    assert (batch.items, loss.item()) == (0, 0.0)


def outputs(*rows: Sequence[int]) -> torch.Tensor:
    """Logits that choose the given tags."""
    return torch.eye(len(TAGS))[[tag for row in rows for tag in row]]


def test_spans_count_whole_and_do_not_go_on_in_the_next_row(objective: Tokens):
    """Expected: spans 0-1 and 3-3 of one row, 0-0 of the other."""
    rows = [{"label": [0, 1, 2, 0]}, {"label": [0, 2]}]
    assert objective.score(outputs([0, 1, 2, 0], [0, 2]), rows) == {
        "f1": 1.0, "precision": 1.0, "recall": 1.0, "accuracy": 1.0,
    }  # fmt: skip
    scores = objective.score(outputs([0, 2, 2, 0], [2, 2]), rows)
    # Found: 0-0, which is cut short, and 3-3.
    assert scores["precision"] == 1 / 2
    assert scores["recall"] == 1 / 3
    assert scores["f1"] == pytest.approx(2 / 5)
    assert scores["accuracy"] == 4 / 6


def test_a_span_may_begin_with_an_inside_tag_as_in_conlleval(objective: Tokens):
    rows = [{"label": [2, 1, 1]}]
    assert objective.score(outputs([2, 0, 1]), rows)["f1"] == 1.0


def test_rows_without_words_and_without_spans_have_a_score(objective: Tokens):
    rows = [{"label": []}, {"label": [2]}]
    assert objective.score(outputs([2]), rows) == {
        "f1": 0.0, "precision": 0.0, "recall": 0.0, "accuracy": 1.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("tags", "scheme", "expected"),
    [
        (TAGS, "auto", "tag scheme BIO: f1 compares spans"),
        (("S-A", "B-A", "I-A", "E-A", "O"), "auto", "tag scheme BIOES: f1 compares spans"),
        (("LOC", "O", "PER"), "auto",
         "tag scheme IO: f1 compares spans, of consecutive words with the same tag"),
        (("NOUN", "VERB"), "auto",
         "tag scheme plain: each word is scored by itself, so that f1 is that of single tags"),
        (("B-A", "I-A", "MISC", "O"), "auto",
         "tag scheme BIO: f1 compares spans; MISC: no scheme's tags, read as types of spans"),
        (TAGS, "plain",
         "tag scheme plain: each word is scored by itself, so that f1 is that of single tags"),
    ],
)  # fmt: skip
def test_the_scheme_is_reported(tags: tuple[str, ...], scheme: str, expected: str):
    with torch.random.fork_rng():
        given = TaggedContext(labels=tags)
        Tokens(TokensOptions(scheme), given)
    assert given.notices == [expected]
    assert described(TagScheme.find(TAGS)) == "tag scheme BIO: f1 compares spans"


def test_a_scheme_that_the_tags_do_not_have_is_refused(given: TaggedContext):
    with pytest.raises(
        ConfigError,
        match=r"^objectives\.mine\.scheme=IOE: tag 'B-PER' is neither O nor a type with",
    ):
        Tokens(TokensOptions("IOE"), given)


def test_words_outside_are_in_no_span_of_plain_tags():
    """The types alone are named, without letters: consecutive words of one type are a span."""
    with torch.random.fork_rng():
        objective = Tokens(TokensOptions(), TaggedContext(labels=("LOC", "O", "PER")))
    rows = [{"label": [1, 1, 2, 2, 1, 0]}]
    scores = objective.score(outputs([1, 1, 1, 1, 1, 0]), rows)
    assert (scores["precision"], scores["recall"]) == (1.0, 0.5)
    assert scores["f1"] == pytest.approx(2 / 3)
    assert scores["accuracy"] == pytest.approx(4 / 6)


def test_tags_that_spell_out_no_spans_are_scored_word_by_word():
    with torch.random.fork_rng():
        objective = Tokens(TokensOptions(), TaggedContext(labels=("DET", "NOUN", "VERB")))
    scores = objective.score(outputs([0, 1, 1, 2]), [{"label": [0, 1, 2, 2]}])
    assert set(scores.values()) == {0.75}


def test_evaluation_does_not_depend_on_the_order_or_batch_of_rows(
    objective: Tokens, given: TaggedContext
):
    model = JointModel(given.body, "task", {"task": objective})
    expected, _ = evaluate(model, ROWS, 2, CPU)
    assert 0 < expected["accuracy"] < 1, "a score that says something"
    assert evaluate(model, ROWS[::-1], 64, CPU)[0] == expected


def test_the_dev_gradient_is_of_words(objective: Tokens, given: TaggedContext):
    model = JointModel(given.body, "task", {"task": objective})
    term = DevLoss(model, ROWS, ProbeOptions(), CPU, seed=0).term(step=0)
    graded = collate(objective, ROWS)
    assert 0 < term.items < graded.items
    loss = term.pieces[0]()
    assert loss.shape == ()
    loss.backward()
    assert all(p.grad is not None for p in given.body.parameters())
    assert all(p.grad is None for p in objective.parameters())


def test_a_dev_gradient_over_rows_without_words_is_zero(objective: Tokens, given: TaggedContext):
    bare = [{"input_ids": [0, 5, 2], "word_starts": [], "label": []}] * 2
    model = JointModel(given.body, "task", {"task": objective})
    loss = DevLoss(model, bare, ProbeOptions(), CPU, seed=0).term(step=0).pieces[0]()
    loss.backward()
    assert loss == 0
    assert all(p.grad.isfinite().all() for p in given.body.parameters() if p.grad is not None)


def test_a_word_is_read_wherever_its_row_stands(objective: Tokens, given: TaggedContext):
    body = given.body.eval()
    together = collate(objective)
    alone = [collate(objective, [row]) for row in ROWS]
    whole = objective.predict(body(together.inputs), together)
    parts = [objective.predict(body(batch.inputs), batch) for batch in alone]
    assert_close(whole, torch.cat(parts))
    moved = replace(together, targets={**together.targets, "word_starts": torch.zeros(21).long()})
    assert not torch.equal(objective.predict(body(moved.inputs), moved), whole)
