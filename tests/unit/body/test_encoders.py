"""The encoder of an encoder-decoder is a body, where transformers has it as a model of its own."""

import pytest
import torch
from torch.testing import assert_close
from transformers import AutoModelForSeq2SeqLM

from support.checkpoints import load
from tartan import ModelError, Packed
from tartan.body.export import export
from tartan.testing import save_tiny

LABELS = ("A", "B", "C")


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    torch.manual_seed(0)
    return save_tiny(tmp_path_factory.mktemp("t5"), "t5", "Seq2SeqLM")


@pytest.fixture(scope="module")
def source(directory):
    return load(directory)


@pytest.fixture(scope="module")
def body(source):
    return source.body().eval()


TOKENS = torch.tensor([7, 9, 30, 11, 8, 40, 21])


@pytest.fixture
def packed():
    return Packed(TOKENS, (4, 3))


def test_hidden_states_are_those_of_the_encoder_decoder(directory, body, packed):
    encoder = AutoModelForSeq2SeqLM.from_pretrained(directory).eval().get_encoder()
    with torch.no_grad():
        expected = [encoder(row[None]).last_hidden_state[0] for row in TOKENS.split([4, 3])]
        assert_close(body(packed), torch.cat(expected))


def test_an_exported_tagger_is_a_body_again(source, body, packed, tmp_path):
    head = source.head("TokenClassification", body, LABELS)
    export(body, head, source.tokenizer, tmp_path / "model")
    again = load(tmp_path / "model")
    with torch.no_grad():
        assert_close(again.body().eval()(packed), body(packed), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (
            "SequenceClassification",
            "T5ForSequenceClassification cannot be used as a head: it reads a T5Model, and the "
            "body is a T5EncoderModel; choose another kind of end task, or another model family",
        ),
        (
            "MaskedLM",
            "t5 has no MaskedLM head in transformers; it has: PreTraining, QuestionAnswering, "
            "Seq2SeqLM, SequenceClassification, TextEncoding, TokenClassification",
        ),
    ],
)
def test_a_head_that_reads_more_than_the_encoder_is_refused(source, body, kind, text):
    with pytest.raises(ModelError) as caught:
        source.head(kind, body, LABELS)
    assert str(caught.value) == text
