"""A checkpoint's head is taken over by the names of its classes, never by position alone."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import (
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    PreTrainedModel,
)

from support.checkpoints import load
from tartan.body import LiftedHead
from tartan.errors import ModelError
from tartan.packed import Packed
from tartan.testing import FAMILIES, save_tiny

NAMES = ("stone", "water", "cold")
SEQUENCE, TOKEN = "SequenceClassification", "TokenClassification"
AUTO = {SEQUENCE: AutoModelForSequenceClassification, TOKEN: AutoModelForTokenClassification}
IDS = [[0, 7, 9, 30, 2], [0, 12, 2], [0, 41, 8, 2]]


def saved(
    directory: Path, names: Sequence[str], kind: str = SEQUENCE, family: str = "bert"
) -> Path:
    label2id = {name: number for number, name in enumerate(names)}
    named = {"id2label": dict(enumerate(names)), "label2id": label2id}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return save_tiny(directory, family, kind, **named)


def taken_over(
    directory: Path, labels: Sequence[str], kind: str = SEQUENCE
) -> tuple[LiftedHead, Tensor]:
    """The head, and its logits on IDS."""
    source = load(directory)
    body = source.body().eval()
    head = source.head(kind, body, labels).eval()
    packed = Packed.of(IDS)
    logits = head(packed.pad(body(packed)), packed.mask)
    return head, logits[packed.mask] if kind == TOKEN else logits


def plain(directory: Path, kind: str = SEQUENCE) -> tuple[PreTrainedModel, Tensor]:
    """The checkpoint in plain transformers, and its logits on IDS."""
    model = AUTO[kind].from_pretrained(directory).eval()
    packed = Packed.of(IDS)
    logits = model(packed.pad(packed.input_ids, 1), attention_mask=packed.mask.long()).logits
    return model, logits[packed.mask] if kind == TOKEN else logits


@pytest.mark.parametrize("kind", AUTO)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_same_classes_in_another_order_are_matched_by_name(
    family: str, kind: str, tmp_path: Path
):
    directory = saved(tmp_path, NAMES, kind, family)
    labels = tuple(sorted(NAMES))
    head, logits = taken_over(directory, labels, kind)
    _, expected = plain(directory, kind)
    order = [NAMES.index(label) for label in labels]
    torch.testing.assert_close(logits, expected[:, order], rtol=1e-5, atol=1e-5)
    assert head.notice == (
        "the checkpoint's head has the same classes in another order: matched by name"
    )
    assert head.new_parameters == ()
    assert head.model.config.id2label == dict(enumerate(labels))


def test_the_same_classes_in_the_same_order_stay_as_they_are(tmp_path: Path):
    directory = saved(tmp_path, NAMES)
    head, logits = taken_over(directory, NAMES)
    torch.testing.assert_close(logits, plain(directory)[1])
    assert (head.notice, head.new_parameters) == (None, ())


@pytest.mark.parametrize(
    ("family", "labels"),
    [
        *((family, ("cold", "fire", "stone")) for family in FAMILIES),
        ("bert", ("Cold", "stone", "water")),
        ("bert", ("cold ", "stone", "water")),
    ],
)
def test_other_classes_have_a_new_last_layer(family: str, labels: tuple[str, ...], tmp_path: Path):
    directory = saved(tmp_path, NAMES, family=family)
    head, logits = taken_over(directory, labels)
    model, expected = plain(directory)
    weight, bias = (head.model.get_parameter(name) for name in head.new_parameters)
    assert weight.shape == (3, 16)
    assert not torch.isclose(weight, model.get_parameter(head.new_parameters[0])).any()
    assert 0.02 < weight.std() < 0.5, "the families' own initialisation"
    assert bias.count_nonzero() == 0
    assert not torch.allclose(logits, expected)
    shown = ", ".join(label.replace(" ", r"\x20") for label in labels)
    assert head.notice == (
        "the checkpoint's head has 3 classes (stone, water, cold), not 3 classes "
        f"({shown}): the head's last layer starts from new weights"
    )


@pytest.mark.parametrize("kind", AUTO)
def test_another_number_of_classes_is_reported(kind: str, tmp_path: Path):
    directory = saved(tmp_path, ("a", "b", "c", "d", "e"), kind)
    head, _ = taken_over(directory, ("a", "b"), kind)
    assert head.new_parameters == ("classifier.weight", "classifier.bias")
    assert head.notice == (
        "the checkpoint's head has 5 classes (a, b, c, ...), not 2 classes (a, b): "
        "the head's last layer starts from new weights"
    )


def test_classes_without_names_are_not_guessed(tmp_path: Path):
    directory = save_tiny(tmp_path, kind=SEQUENCE, num_labels=3)
    head, _ = taken_over(directory, NAMES)
    assert head.new_parameters == ("classifier.weight", "classifier.bias")
    assert head.notice == (
        "the checkpoint's head has classes without names (LABEL_0 to LABEL_2): the head's last "
        "layer starts from new weights; name the classes in id2label of its config.json to keep "
        "the trained ones"
    )


@pytest.mark.parametrize("labels", [("0", "1", "2"), ("LABEL_0", "LABEL_1", "LABEL_2")])
def test_classes_that_are_ids_are_those_without_names(labels: tuple[str, ...], tmp_path: Path):
    directory = save_tiny(tmp_path, kind=SEQUENCE, num_labels=3)
    head, logits = taken_over(directory, labels)
    torch.testing.assert_close(logits, plain(directory)[1])
    assert (head.notice, head.new_parameters) == (None, ())


def test_a_checkpoint_without_a_head_needs_no_notice(tmp_path: Path):
    head, _ = taken_over(save_tiny(tmp_path), NAMES)
    assert head.notice is None
    assert "classifier.weight" in head.new_parameters


def test_a_new_last_layer_depends_on_the_random_state_and_leaves_it(tmp_path: Path):
    directory = saved(tmp_path, NAMES)

    def weight(seed: int) -> Tensor:
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        head, _ = taken_over(directory, ("x", "y", "z"))
        assert torch.equal(torch.get_rng_state(), before)
        return head.model.classifier.weight

    assert torch.equal(weight(1), weight(1))
    assert not torch.equal(weight(1), weight(2))


def test_a_head_that_cannot_be_reordered_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    directory = saved(tmp_path, NAMES)
    monkeypatch.setattr(LiftedHead, "last_layer", lambda _: None)
    with pytest.raises(ModelError, match="and no last linear layer that could be reordered"):
        taken_over(directory, tuple(sorted(NAMES)))
    assert taken_over(directory, NAMES)[0].notice is None
