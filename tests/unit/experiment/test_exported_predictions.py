"""What is reported of the end task is what plain transformers computes with the exported model."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor
from torch.testing import assert_close
from transformers import AutoTokenizer

from tartan import Context, LabelKind, PrimaryObjective
from tartan.body import export
from tartan.experiment.context import TaskContext
from tartan.experiment.predictions import predictions
from tartan.experiment.texts import Texts
from tartan.testing import FAMILIES, tiny_source
from tartan.testing.world import world
from tartan.train.evaluate import evaluate
from tartan.train.model import JointModel
from tartan.train.runtime import Runtime
from tartan_objectives.classification import Classification, ClassificationOptions
from tartan_objectives.multilabel import Multilabel, MultilabelOptions
from tartan_objectives.regression import Regression, RegressionOptions
from tartan_objectives.tokens import Tokens, TokensOptions

BF16 = Runtime(torch.device("cpu"), "bf16")
TWELVE = (*FAMILIES, "xlm-roberta", "ernie", "rembert", "eurobert")


def classification(context: Context) -> PrimaryObjective:
    return Classification(ClassificationOptions(), context)


def regression(context: Context) -> PrimaryObjective:
    return Regression(RegressionOptions(), context)


def tokens(context: Context) -> PrimaryObjective:
    return Tokens(TokensOptions(), context)


def multilabel(context: Context) -> PrimaryObjective:
    return Multilabel(MultilabelOptions(), context)


TASKS = {
    LabelKind.SETS: (multilabel, "SequenceClassification"),
    LabelKind.CLASS: (classification, "SequenceClassification"),
    LabelKind.NUMBER: (regression, "SequenceClassification"),
    LabelKind.TAGS: (tokens, "TokenClassification"),
}


def plain(directory: Path, kind: str, rows: Any) -> tuple[list[Tensor], dict[int, str]]:
    """Each row's outputs [items, outputs] in plain transformers, padded, and the labels' names."""
    auto = getattr(transformers, f"AutoModelFor{kind}")
    model = auto.from_pretrained(directory).eval()
    tokenizer = AutoTokenizer.from_pretrained(directory)
    words = "words" in rows.column_names
    inputs = tokenizer(
        rows["words" if words else "text"][:],
        is_split_into_words=words, padding=True, truncation=True, return_tensors="pt",
    )  # fmt: skip
    with torch.no_grad():
        logits = model(inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits
    if not words:
        return [row[None] for row in logits], model.config.id2label
    first = [
        [inputs.word_ids(row).index(word) for word in range(len(given))]
        for row, given in enumerate(rows["words"])
    ]
    return [row[places] for row, places in zip(logits, first, strict=True)], model.config.id2label


@pytest.mark.parametrize("family", TWELVE)
def test_the_exported_model_gives_what_is_reported_row_by_row(family: str, tmp_path: Path):
    """The run trains in bf16; the exported model is float32."""
    torch.manual_seed(0)
    source = tiny_source(family)
    body = source.body()
    for kind, (build, head) in TASKS.items():
        task = world(kind).task
        texts = Texts(task, source)
        rows = texts.split("train")
        objective = build(TaskContext("mine", texts.training(rows), body, 0))
        model = JointModel(body, "mine", {"mine": objective})
        scores, outputs = evaluate(model, rows, 5, BF16)
        lines = predictions(task.train, rows, outputs, kind, task.labels, 0.5)
        export(body, objective.head, source.tokenizer, tmp_path / kind.name)
        expected, names = plain(tmp_path / kind.name, head, task.train)
        for line, output, logits in zip(lines, outputs, expected, strict=True):
            assert_close(output, logits, rtol=1e-4, atol=1e-5)
            assert same(line["predicted"], logits, names, kind)
        given = [{"label": row["label"]} for row in rows]
        assert scores == pytest.approx(objective.score(torch.cat(expected), given), abs=1e-4)


def same(predicted: Any, logits: Tensor, names: dict[int, str], kind: LabelKind) -> bool:
    """Whether a line of predictions-dev.jsonl says what logits [items, outputs] do."""
    if kind is LabelKind.SETS:
        sure = {
            names[n]: logit > 0 for n, logit in enumerate(logits[0].tolist()) if abs(logit) > 1e-4
        }
        return all((name in predicted) == yes for name, yes in sure.items())
    if isinstance(predicted, float):
        return predicted == pytest.approx(logits.item(), rel=1e-4, abs=1e-5)
    chosen: Sequence[str] = [names[number] for number in logits.argmax(1).tolist()]
    return list(chosen) == ([predicted] if isinstance(predicted, str) else predicted)
