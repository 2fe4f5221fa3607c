"""Models that are not from a run: their lengths and the kind of their outputs."""

from pathlib import Path

import pytest
from transformers import BertForSequenceClassification, RobertaForSequenceClassification

from tartan.batch import LabelKind
from tartan.data.vocabulary import train_tokenizer
from tartan.errors import ConfigError, DataError
from tartan.inference.inputs import Input
from tartan.inference.model import Place
from tartan.inference.predict import PredictOptions, predict_file
from tartan.inference.predictor import Predictor
from tartan.testing import tiny_config


@pytest.fixture(scope="module")
def tokenizer():
    """A tokenizer that sets no limit to a sequence."""
    found = train_tokenizer(["red sea leaf blue"] * 20, 100)
    found.model_max_length = 10**30
    return found


def saved(model, tokenizer, directory: Path) -> Predictor:
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return Predictor.load(Place(directory), "cpu")


def test_texts_are_cut_to_the_positions_that_a_family_uses(tokenizer, tmp_path: Path):
    """RoBERTa counts positions from padding_idx + 1 on."""
    config = tiny_config("roberta", vocab_size=len(tokenizer), max_position_embeddings=18)
    predictor = saved(RobertaForSequenceClassification(config), tokenizer, tmp_path)
    assert predictor.max_length == 18 - config.pad_token_id - 1
    (found,) = predictor.predict(iter([Input("red sea " * 50)]))
    assert set(found) >= {"predicted"}


def test_a_single_output_is_a_number(tokenizer, tmp_path: Path):
    config = tiny_config("bert", vocab_size=len(tokenizer), num_labels=1)
    predictor = saved(BertForSequenceClassification(config), tokenizer, tmp_path)
    assert predictor.kind is LabelKind.NUMBER
    (found,) = predictor.predict(iter([Input("red sea")]))
    assert isinstance(found["predicted"], float)


@pytest.mark.parametrize(
    ("size", "line"),
    [
        (0, "must be at least 1, got 0."), (-1, "must be at least 1, got -1."),
        (True, "must be at least 1, got True."), (2.5, "must be a whole number, got 2.5"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("texts", [[], ["red sea"]])
def test_a_batch_size_without_meaning_is_refused(
    tokenizer, tmp_path: Path, texts: list[str], size, line: str
):
    config = tiny_config("bert", vocab_size=len(tokenizer), num_labels=2)
    predictor = saved(BertForSequenceClassification(config), tokenizer, tmp_path)
    with pytest.raises(ConfigError) as caught:
        list(predictor.predict(map(Input, texts), size))
    assert str(caught.value) == f"batch_size {line}"


@pytest.mark.parametrize(
    ("last", "line"),
    [
        (",9", "texts.csv:22: text is empty: fill it or remove the row"),
        ("blue,9,9", "texts.csv:22: the row has 3 cells and the header 2 cells"),
    ],
)
def test_a_late_row_that_cannot_be_used_is_refused_before_the_model_computes(
    tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: str, line: str
):
    config = tiny_config("bert", vocab_size=len(tokenizer), num_labels=2)
    saved(BertForSequenceClassification(config), tokenizer, tmp_path / "model")
    monkeypatch.setattr(Predictor, "_forward", pytest.fail)
    source, target = tmp_path / "texts.csv", tmp_path / "out.csv"
    source.write_text("\n".join(["text,n", *["red sea,1"] * 20, last]))
    options = PredictOptions(batch_size=1, device="cpu")  # 16 rows are predicted before the last
    with pytest.raises(DataError) as caught:
        predict_file(tmp_path / "model", source, target, options)
    assert line in str(caught.value)
    assert not target.exists()
