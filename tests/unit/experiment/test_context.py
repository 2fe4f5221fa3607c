"""The context of an objective: rows that the body can read, heads that say what they predict."""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from tartan import LabelKind, Packed
from tartan.data.rows import Example, Label
from tartan.data.task import Task, build_task
from tartan.experiment.context import TaskContext
from tartan.experiment.notices import end_task_notices
from tartan.experiment.texts import Texts
from tartan.seeding import seeded
from tartan.testing import FAMILIES, tiny_source

INPUTS = ["input_ids", "token_type_ids", "attention_mask"]


def pairs() -> Task:
    texts = [("the red task", "a green one", "x"), ("we learn", "this is a language model", "y")]
    rows = [Example(text, label, "p", pair) for text, pair, label in texts]
    return build_task("t", {"train": rows})


def task(kind: LabelKind, *labels: Label, words: tuple[str, ...] = ()) -> Task:
    rows = [Example(" ".join(words) or f"task {n}", each, "p", None, words)
            for n, each in enumerate(labels)]  # fmt: skip
    return build_task("t", {"train": rows}, kind=kind)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_reads_pairs_as_the_whole_model_does(family: str):
    source = tiny_source(family)
    source.tokenizer.model_input_names = INPUTS
    rows = Texts(pairs(), source).split("train")
    segments = "token_type_ids" in rows.column_names
    assert segments == (getattr(source.config, "type_vocab_size", 0) > 1)
    with seeded(0):
        body = source.body().eval()
    packed = Packed.of_rows(list(rows))
    found = body(packed)
    inputs = {"input_ids": packed.pad(packed.input_ids, 1), "attention_mask": packed.mask.long()}
    if segments:
        assert packed.token_type_ids is not None
        assert packed.token_type_ids.tolist() == [*[0] * 5, *[1] * 4, *[0] * 4, *[1] * 6]
        inputs["token_type_ids"] = packed.pad(packed.token_type_ids)
    with torch.no_grad():
        whole = body.model
        if body.reads_packed:
            whole.set_attn_implementation("eager")
        expected = whole(**inputs).last_hidden_state
    assert_close(found, packed.unpad(expected), rtol=1e-4, atol=1e-4)


def test_a_tokenizer_that_gives_no_segments_decides():
    source = tiny_source("bert")
    source.tokenizer.model_input_names = ["input_ids", "attention_mask"]
    assert "token_type_ids" not in Texts(pairs(), source).split("train").column_names


@pytest.mark.parametrize(
    ("kind", "labels", "outputs", "problem"),
    [
        (LabelKind.CLASS, ("a", "b", "c"), 3, "single_label_classification"),
        (LabelKind.NUMBER, (0.5, 1.0), 1, "regression"),
    ],
)
def test_a_head_on_sequences_says_what_it_solves(
    kind: LabelKind, labels: tuple[Label, ...], outputs: int, problem: str
):
    """Even where the checkpoint was trained for something else."""
    texts = Texts(task(kind, *labels), tiny_source("bert", problem_type="regression", num_labels=5))
    context = TaskContext("mine", texts.training(texts.split("train")), texts.source.body(), 0)
    config = context.head("SequenceClassification").model.config
    assert (config.num_labels, config.problem_type) == (outputs, problem)


@pytest.mark.parametrize(
    ("given", "expected"), [({}, "objectives.mine"), ({"section": "primary"}, "primary")]
)
def test_a_context_names_the_section_of_its_options(given: dict[str, str], expected: str):
    texts = Texts(pairs(), tiny_source())
    training = texts.training(texts.split("train"))
    context = TaskContext("mine", training, texts.source.body(), 0, **given)
    assert context.section == expected


def test_words_beyond_the_longest_sequence_are_counted():
    words = ("one", "two", "three") * 20
    given = task(LabelKind.TAGS, ("O",) * 59 + ("B",), words=words)
    texts = Texts(given, tiny_source())
    assert len(texts.split("train")[0]["label"]) == texts.source.max_length - 2
    assert texts.tokenized["train"].counts.truncated == 1
    assert texts.tokenized["train"].counts.lost_words == 60 - texts.source.max_length + 2


def test_a_run_says_that_block_sparse_attention_is_replaced():
    sparse = replace(tiny_source(), replaced_sparse=True)
    said, silent = (end_task_notices(Texts(pairs(), source)) for source in (sparse, tiny_source()))
    assert [line for line in said if line not in silent] == [
        "The model's block-sparse attention is replaced by full attention, in model/ too: if "
        "memory is short, lower model.max_length."
    ]
