"""What plugin authors are given works with plain transformers too."""

import pytest
import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer

from tartan.testing import FAMILIES, save_tiny, tiny_config, tiny_source, tiny_tokenizer


def test_the_tokenizer_frames_and_knows_its_words():
    tokenizer = tiny_tokenizer()
    assert tokenizer.is_fast
    ids = tokenizer("The model unheardof")["input_ids"]
    assert tokenizer.convert_ids_to_tokens(ids) == ["[CLS]", "the", "model", "[UNK]", "[SEP]"]
    assert (tokenizer.pad_token_id, tokenizer.mask_token_id) == (1, 4)
    assert sorted(tokenizer.get_vocab().values()) == list(range(len(tokenizer)))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_saved_model_loads_with_its_tokenizer(family, tmp_path):
    directory = save_tiny(tmp_path / "model", family)
    model = AutoModelForMaskedLM.from_pretrained(directory).eval()
    tokenizer = AutoTokenizer.from_pretrained(directory)
    assert tokenizer("the model")["input_ids"] == tiny_tokenizer()("the model")["input_ids"]
    inputs = torch.tensor([tokenizer("the model")["input_ids"]])
    assert model(inputs).logits.shape == (1, 4, len(tokenizer))
    assert model.config.pad_token_id == tokenizer.pad_token_id


def test_options_reach_the_configuration():
    assert tiny_config("roberta", num_hidden_layers=3, hidden_size=8).num_hidden_layers == 3
    assert tiny_source("roberta", hidden_size=8).config.hidden_size == 8


def test_a_source_does_not_share_its_tokenizer():
    tiny_source().tokenizer.model_max_length = 3
    assert tiny_source().tokenizer.model_max_length == 48
