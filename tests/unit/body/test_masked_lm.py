"""A masked language model beside the body: smaller or pretrained, apart or with its embeddings."""

import pytest
import torch

from tartan.body import masked_lm
from tartan.body.export import reassembled
from tartan.body.masked_lm import scaled
from tartan.errors import ConfigError, ModelError
from tartan.packed import Packed
from tartan.testing import FAMILIES, save_tiny, tiny_source, tiny_tokenizer

POSITIONS = torch.tensor([0, 7, 9, 50, 122])


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_are_the_familys_own_at_half_the_width(family, packed):
    source = tiny_source(family)
    body = source.body()
    model = masked_lm(source, body, width=0.5).eval()
    found = model(packed, POSITIONS)
    assert found.shape == (len(POSITIONS), len(source.tokenizer))
    with reassembled(model.body, model.head) as own:
        own.base_model.set_attn_implementation("eager")
        sequences = packed.input_ids.split(packed.lengths)
        logits = torch.cat([own(input_ids=s[None]).logits[0] for s in sequences])
    torch.testing.assert_close(found, logits[POSITIONS], atol=1e-5, rtol=1e-5)
    assert model.body.reads_packed == body.reads_packed
    assert not {id(p) for p in model.parameters()} & {id(p) for p in body.parameters()}


@pytest.mark.parametrize("family", FAMILIES)
def test_widths_are_a_share_of_the_bodys_and_depth_is_not(family):
    source = tiny_source(family, num_attention_heads=4, hidden_size=32, intermediate_size=64)
    config = scaled(source, 0.5).config
    assert (config.hidden_size, config.num_attention_heads) == (16, 2)
    assert config.num_hidden_layers == source.config.num_hidden_layers == 2
    narrow = {"distilbert": "hidden_dim"}.get(family, "intermediate_size")
    assert getattr(config, narrow) == getattr(source.config, narrow) // 2
    assert source.config.hidden_size == 32


@pytest.mark.parametrize("width", [0.01, 0.1, 0.3, 0.7])
@pytest.mark.parametrize("family", ["bert", "modernbert"])
def test_any_share_is_a_model(family, width, packed):
    source = tiny_source(family, num_attention_heads=4, hidden_size=32)
    model = masked_lm(source, source.body(), width=width)
    assert model(packed, POSITIONS).isfinite().all()
    assert model.body.hidden_size == pytest.approx(32 * width, abs=4)


@pytest.mark.parametrize("family", ["electra", "albert"])
def test_embeddings_of_a_width_of_their_own_are_tied_at_any_width(family, packed):
    source = tiny_source(family)
    body = source.body()
    model = masked_lm(source, body, width=0.5, tied=True)
    embeddings = body.model.get_input_embeddings().weight
    model(packed, POSITIONS).pow(2).sum().backward()
    assert model.body.hidden_size == 8
    assert embeddings.grad.any()
    assert all(p is not embeddings for p in model.parameters())
    assert not any("word_embeddings" in name for name in model.state_dict())


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "modernbert"])
def test_tied_logits_follow_the_bodys_embeddings(family, packed):
    source = tiny_source(family)
    body = source.body()
    model = masked_lm(source, body, tied=True).eval()
    embeddings = body.model.get_input_embeddings().weight
    before = model(packed, POSITIONS)
    with torch.no_grad():
        embeddings.add_(torch.randn(embeddings.shape))
    assert not torch.allclose(model(packed, POSITIONS), before)
    decoders = [n for n in model.head.borrowed if n.endswith("weight")]
    path, _, attribute = decoders[0].rpartition(".")
    assert getattr(model.head.model.get_submodule(path), attribute) is embeddings


def test_embeddings_of_other_widths_cannot_be_tied():
    source = tiny_source("bert")
    with pytest.raises(ConfigError, match=r"of shape \(\d+, 8\) cannot be tied to .*, \(\d+, 16\)"):
        masked_lm(source, source.body(), width=0.5, tied=True)


def test_a_pretrained_one_may_be_of_another_family_over_the_same_vocabulary(tmp_path, packed):
    source = tiny_source("roberta")
    directory = save_tiny(tmp_path / "other", "electra", max_position_embeddings=48)
    model = masked_lm(source, source.body(), name=str(directory))
    assert model.body.model.config.model_type == "electra"
    assert not model.head.new_parameters
    assert model(packed, POSITIONS).isfinite().all()


def test_another_vocabulary_is_refused(tmp_path):
    directory = save_tiny(tmp_path / "other", vocab_size=len(tiny_tokenizer()) + 1)
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(["unheardof"])
    tokenizer.save_pretrained(directory)
    source = tiny_source()
    with pytest.raises(ModelError, match=r"has another vocabulary than the body \(\d+ tokens"):
        masked_lm(source, source.body(), name=str(directory))


def test_one_that_reads_shorter_sequences_is_refused(tmp_path):
    directory = save_tiny(tmp_path / "other", max_position_embeddings=40)
    source = tiny_source()
    with pytest.raises(ModelError, match="must be 1 to 40"):
        masked_lm(source, source.body(), name=str(directory))


def test_a_family_without_widths_is_refused():
    source = tiny_source()
    body = source.body()
    source.config.__class__ = type("NoHeads", (type(source.config),), {})
    del source.config.num_attention_heads
    with pytest.raises(ModelError, match=r"^bert has no model of 0\.5 times its width"):
        masked_lm(source, body, width=0.5)


def test_making_one_leaves_the_random_state_alone(source, body):
    before = torch.get_rng_state()
    masked_lm(source, body, width=0.5)
    assert torch.equal(before, torch.get_rng_state())


def test_positions_may_be_none_at_all(source, body):
    model = masked_lm(source, body, width=0.5)
    logits = model(Packed.of([[5, 6]]), torch.empty(0, dtype=torch.int64))
    assert logits.shape == (0, len(source.tokenizer))
