"""A model is loaded whole, or one line says why not."""

import shutil

import pytest
import torch
from transformers import AutoModel, AutoModelForMaskedLM
from transformers.utils import logging as transformers_logging

from support.checkpoints import edit_json, load, refusal
from tartan.body import Body, ModelSource, TinyOptions
from tartan.errors import ConfigError, ModelError
from tartan.packed import Packed
from tartan.quiet import quiet
from tartan.seeding import seeded
from tartan.testing import FAMILIES, save_tiny, tiny_config, tiny_tokenizer

LABELS = ("no", "perhaps", "yes")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_checkpoint_gives_its_own_body_and_head(family, tmp_path, packed):
    directory = save_tiny(tmp_path / "saved", family)
    source = load(directory)
    body = source.body().eval()
    head = source.head("MaskedLM", body).eval()
    own = AutoModelForMaskedLM.from_pretrained(directory).eval()
    expected = own(packed.pad(packed.input_ids, 1), packed.mask.long()).logits[packed.mask]
    torch.testing.assert_close(head(body(packed)[None])[0], expected, atol=1e-5, rtol=1e-5)
    assert head.new_parameters == ()


def test_what_no_checkpoint_held_is_reported_as_new(saved):
    source = load(saved)
    head = source.head("SequenceClassification", source.body(), LABELS)
    assert head.new_parameters == (
        "bert.pooler.dense.weight",
        "bert.pooler.dense.bias",
        "classifier.weight",
        "classifier.bias",
    )


def test_a_random_head_is_all_new():
    source = ModelSource.tiny(tiny_tokenizer(), TinyOptions(hidden_size=8, intermediate_size=8))
    head = source.head("SequenceClassification", source.body(), LABELS)
    assert head.new_parameters == tuple(name for name, _ in head.model.named_parameters())


def test_the_seed_chooses_random_weights():
    source = ModelSource.tiny(tiny_tokenizer(), TinyOptions(hidden_size=8, intermediate_size=8))

    def weights(seed):
        with seeded(seed, "body"):
            return torch.cat([p.flatten() for p in source.body().parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_weights_are_float32_whatever_the_checkpoint(tmp_path):
    with quiet():
        model = AutoModelForMaskedLM.from_config(tiny_config()).to(torch.bfloat16)
        model.save_pretrained(tmp_path)
        tiny_tokenizer().save_pretrained(tmp_path)
    source = load(tmp_path)
    body = source.body()
    head = source.head("MaskedLM", body)
    assert {p.dtype for p in [*body.parameters(), *head.parameters()]} == {torch.float32}


def test_what_is_loaded_is_in_training_mode(saved):
    source = load(saved)
    body = source.body()
    head = source.head("MaskedLM", body)
    assert all(module.training for module in [*body.modules(), *head.modules()])


def test_loading_says_nothing(saved, capfd):
    bars = transformers_logging.is_progress_bar_enabled()
    verbosity = transformers_logging.get_verbosity()
    source = load(saved)
    source.head("SequenceClassification", source.body(), LABELS)
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")
    assert transformers_logging.is_progress_bar_enabled() == bars
    assert transformers_logging.get_verbosity() == verbosity


def test_tiny_is_a_bert_over_the_tokenizer(packed):
    tokenizer = tiny_tokenizer()
    options = TinyOptions(
        hidden_size=24, layers=3, heads=4, intermediate_size=20, dropout=0.2, max_length=50
    )
    source = ModelSource.tiny(tokenizer, options)
    body = source.body()
    config = body.model.config
    assert (config.vocab_size, config.pad_token_id) == (len(tokenizer), tokenizer.pad_token_id)
    assert (config.num_hidden_layers, config.num_attention_heads) == (3, 4)
    assert (config.intermediate_size, config.hidden_dropout_prob) == (20, 0.2)
    assert config.attention_probs_dropout_prob == 0.2
    assert (source.max_length, body.max_length, body.hidden_size) == (50, 50, 24)
    assert body.reads_packed
    assert source.tokenizer.model_max_length == 50
    assert tokenizer.model_max_length > 50
    assert body(packed).shape == (len(packed.input_ids), 24)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"hidden_size": 30, "heads": 4},
            "model.hidden_size must be a multiple of model.heads=4, got 30.",
        ),
        ({"layers": 0}, "model.layers must be at least 1, got 0."),
        ({"max_length": 0}, "model.max_length must be at least 1, got 0."),
        ({"dropout": 1.0}, "model.dropout must be in [0, 1), got 1.0."),
    ],
)
def test_a_tiny_model_that_is_none_is_refused(options, text):
    with pytest.raises(ConfigError) as caught:
        ModelSource.tiny(tiny_tokenizer(), TinyOptions(**options))
    assert text in str(caught.value)


@pytest.mark.parametrize(("family", "longest"), [("bert", 64), ("roberta", 62), ("mpnet", 62)])
def test_the_longest_sequence_is_what_positions_allow(family, longest, tmp_path):
    directory = save_tiny(tmp_path / "saved", family)
    source = load(directory)
    assert source.max_length == longest
    assert source.tokenizer.model_max_length == longest


def test_the_tokenizers_length_counts_too(saved):
    edit_json(saved / "tokenizer_config.json", model_max_length=20)
    assert load(saved).max_length == 20


def test_a_shorter_length_may_be_chosen(saved):
    source = load(saved, max_length=10)
    assert source.max_length == 10
    assert len(source.tokenizer("the " * 30, truncation=True)["input_ids"]) == 10


@pytest.mark.parametrize("length", [0, 65])
def test_a_length_the_model_does_not_read_is_refused(saved, length):
    text = refusal(saved, max_length=length)
    assert text == f"model.max_length must be 1 to 64 for {saved}, got {length}"


def test_a_model_without_any_limit_needs_a_length(tmp_path):
    directory = save_tiny(tmp_path / "saved", "deberta-v2", max_position_embeddings=0)
    assert refusal(directory) == (
        f"model.name={directory}: neither its tokenizer nor its positions limit the sequence "
        "length: set model.max_length"
    )
    assert (
        refusal(directory, max_length=0)
        == f"model.max_length must be 1 or more for {directory}, got 0"
    )
    assert load(directory, max_length=99).max_length == 99


def test_pickled_weights_are_read_as_weights_only(tmp_path, saved, packed):
    """A pytorch_model.bin may hold tensors; code in it does not run."""
    state = AutoModelForMaskedLM.from_pretrained(saved).state_dict()
    expected = load(saved).body().eval()(packed)
    (saved / "model.safetensors").unlink()
    torch.save(state, saved / "pytorch_model.bin")
    torch.testing.assert_close(load(saved).body().eval()(packed), expected)

    class Harmful:
        def __reduce__(self):
            return (shutil.rmtree, (str(tmp_path),))

    torch.save({"weight": Harmful()}, saved / "pytorch_model.bin")
    with pytest.raises(ModelError, match="its weights cannot be loaded"):
        load(saved).body()
    assert saved.exists()


def test_two_heads_of_a_kind_do_not_share_weights():
    source = ModelSource.tiny(tiny_tokenizer(), TinyOptions(hidden_size=8, intermediate_size=8))
    body = source.body()
    one, two = (source.head("SequenceClassification", body, LABELS) for _ in range(2))
    assert not {id(p) for p in one.parameters()} & {id(p) for p in two.parameters()}


def test_the_source_keeps_its_configuration(packed):
    source = ModelSource.tiny(tiny_tokenizer(), TinyOptions(hidden_size=8, intermediate_size=8))
    before = source.config.to_dict()
    source.head("SequenceClassification", source.body(), LABELS)
    assert source.config.to_dict() == before
    with quiet():
        plain = AutoModel.from_config(source.config)
    assert plain.config._attn_implementation != "tartan_packed"
    assert Body(plain)(Packed.of([[1, 2]])).shape == (2, 8)
