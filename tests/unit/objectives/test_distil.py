"""Distillation: the end task's head learns a frozen teacher's class probabilities."""

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.testing import assert_close
from transformers import AutoModelForSequenceClassification

from support.context import ROWS, TaggedContext, TinyContext
from support.teachers import save_teacher
from tartan import Batch, ConfigError, ModelError
from tartan.experiment.model_files import model_hashes
from tartan.testing import ObjectiveContract, tiny_source
from tartan.testing.contract import NotApplicable
from tartan_objectives.classification import Classification, ClassificationOptions
from tartan_objectives.distil import Distil, DistilOptions, soft_loss
from tartan_objectives.tokens import Tokens, TokensOptions


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    """A teacher with the run's classes in another order."""
    return save_teacher(tiny_source(), tmp_path / "teacher", "c", "a", "b")


def make(given: TinyContext, **options: Any) -> Distil:
    if given.primary is None:
        given.primary = Classification(ClassificationOptions(), given)
    return Distil(DistilOptions(**options), given)


def prepared(objective: Distil) -> Batch:
    return objective.prepare(objective.collate(ROWS, torch.Generator()))


@pytest.mark.parametrize("texts", ["task", "labelled"])
def test_the_loss_is_that_of_the_paper(texts: str, given: TinyContext, teacher: Path):
    """Plain transformers computes the teacher; its classes are matched by name."""
    objective = make(given, teacher=str(teacher), texts=texts, temperature=3.0)
    batch = prepared(objective)
    hidden = given.body.eval()(batch.inputs)
    plain = AutoModelForSequenceClassification.from_pretrained(teacher).eval()
    rows = [torch.tensor([row["input_ids"]]) for row in ROWS]
    with torch.no_grad():
        logits = torch.cat([plain(input_ids=row).logits for row in rows])[:, [1, 2, 0]]
    assert_close(batch.targets["teacher"], logits, rtol=1e-4, atol=1e-5)
    assert (logits.softmax(1).max(1).values > 0.4).any()
    given.primary.eval()
    student = objective.end_task.predict(hidden, batch)
    p, q = ((each / 3).softmax(1) for each in (logits, student))
    loss = objective.loss(hidden, batch)
    assert_close(loss.total, 9 * (p * (p.log() - q.log())).sum(), rtol=1e-4, atol=1e-5)
    assert loss.metrics["agreement"] == (student.argmax(1) == logits.argmax(1)).sum()


def test_the_gradient_at_a_high_temperature_is_that_of_matching_logits():
    """Section 2.1 of the paper: with centred logits, (z - v) / classes for each sequence."""
    rng = torch.Generator().manual_seed(0)
    expected, logits = (torch.randn(4, 3, generator=rng, dtype=torch.float64) for _ in range(2))
    expected, logits = (each - each.mean(1, keepdim=True) for each in (expected, logits))
    logits.requires_grad_()
    soft_loss(expected, logits, 1e4).backward()
    assert_close(logits.grad, (logits.detach() - expected) / 3, rtol=1e-3, atol=1e-4)


def test_the_teacher_is_frozen_and_in_no_checkpoint(given: TinyContext, teacher: Path):
    objective = make(given, teacher=str(teacher))
    assert not list(objective.parameters())
    assert not objective.state_dict()
    assert not any(module.training for module in objective.train().teacher.modules())
    batch = prepared(objective)
    before = objective.teacher(batch.inputs)
    loss = objective.loss(given.body.train()(batch.inputs), batch).total
    loss.backward()
    assert not batch.targets["teacher"].requires_grad
    assert all(p.grad is not None for p in given.primary.parameters())
    assert torch.equal(objective.teacher(batch.inputs), before)
    sent = pickle.loads(pickle.dumps(objective))
    assert torch.equal(sent.teacher(batch.inputs), before)


def test_its_files_are_part_of_the_runs_identity(given: TinyContext, teacher: Path):
    hashes = model_hashes(make(given, teacher=str(teacher)))
    assert set(hashes) == {"config.json", "model.safetensors"}


def test_training_makes_the_end_task_predict_as_the_teacher(given: TinyContext, teacher: Path):
    objective = make(given, teacher=str(teacher), temperature=1.0)
    batch, body = prepared(objective), given.body.eval()
    given.primary.eval()
    optimiser = torch.optim.Adam([*given.primary.parameters(), *body.parameters()], lr=1e-2)
    for _ in range(60):
        loss = objective.loss(body(batch.inputs), batch)
        optimiser.zero_grad()
        loss.total.backward()
        optimiser.step()
    assert loss.total / batch.items < 0.05
    assert loss.metrics["agreement"] == batch.items


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({}, "objectives.mine.teacher must be set: a directory with a classification model of"),
        (
            {"teacher": "x", "temperature": 0.0},
            "objectives.mine.temperature must be more than 0 and finite, got 0.0.",
        ),
        ({"teacher": "x", "texts": "tsk"}, "objectives.mine.texts=tsk: did you mean 'task'?"),
    ],
)
def test_options_without_meaning_are_refused(given: TinyContext, options: dict, line: str):
    with pytest.raises(ConfigError) as caught:
        make(given, **options)
    assert str(caught.value).startswith(line)


def test_a_teacher_of_other_classes_is_refused(given: TinyContext, tmp_path: Path):
    other = save_teacher(tiny_source(), tmp_path / "other", "a", "b", "d")
    with pytest.raises(ModelError) as caught:
        make(given, teacher=str(other))
    assert str(caught.value) == (
        f"objectives.mine.teacher={other}: {other} is not a classifier of the classes a, b, c (the "
        "checkpoint's head has 3 classes (a, b, d), not 3 classes (a, b, c)): choose a model that "
        "was trained on these"
    )


def test_a_directory_without_a_model_is_named_once(given: TinyContext, tmp_path: Path):
    save_teacher(tiny_source(), tmp_path / "run/model", "a", "b", "c")
    with pytest.raises(ModelError) as caught:
        make(given, teacher=str(tmp_path / "run"))
    assert str(caught.value) == (
        f"objectives.mine.teacher={tmp_path / 'run'}: the directory has no config.json; "
        f"{tmp_path / 'run/model'} has one"
    )


def test_a_body_without_a_classifier_is_refused(given: TinyContext, tmp_path: Path):
    given.body.model.save_pretrained(tmp_path)
    given.tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="it has no classification head"):
        make(given, teacher=str(tmp_path))


def test_its_contract_names_the_option_that_it_needs():
    contract = type("Given", (ObjectiveContract,), {"plugin": "distil"})
    with pytest.raises(NotApplicable, match="it has to be given teacher: subclass"):
        contract().test_the_gradient_reaches_the_body()


def test_unlabelled_texts_are_refused_for_a_task_of_pairs(given: TinyContext, teacher: Path):
    given.pairs = True
    line = r"objectives\.mine\.texts=domain: the end task's rows are pairs of texts"
    with pytest.raises(ConfigError, match=line):
        make(given, teacher=str(teacher), texts="domain")
    make(given, teacher=str(teacher), texts="labelled")


def test_a_task_without_classes_is_refused(teacher: Path):
    given = TaggedContext()
    given.primary = Tokens(TokensOptions(), given)
    with pytest.raises(ConfigError, match=r"objectives\.mine predicts classes, and the end task"):
        make(given, teacher=str(teacher))
