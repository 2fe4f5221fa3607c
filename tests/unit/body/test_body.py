"""The body computes Hugging Face's own hidden states, with or without padding."""

import pytest
import torch
from transformers import AutoConfig, AutoModel

from support.closeness import assert_same
from tartan.body import AutoOptions, Body, ModelSource
from tartan.body.trial import trial_tokens
from tartan.errors import ModelError
from tartan.packed import Packed
from tartan.quiet import quiet
from tartan.testing import (
    FAMILIES,
    PACKED_FAMILIES,
    PADDED_FAMILIES,
    save_tiny,
    tiny_config,
    tiny_source,
)


def own_hidden_states(body, packed):
    """Return the hidden states of a plain Hugging Face model with the body's weights."""
    config = tiny_config(body.model.config.model_type)
    with quiet():
        model = AutoModel.from_config(config).eval()
    missing, _ = model.load_state_dict(body.model.state_dict(), strict=False)
    assert all(name.startswith("pooler") for name in missing)
    sequences = packed.input_ids.split(packed.lengths)
    return torch.cat([model(input_ids=s[None]).last_hidden_state[0] for s in sequences]), model


@pytest.mark.parametrize("family", FAMILIES)
def test_hidden_states_are_the_familys_own(family, packed):
    body = tiny_source(family).body().eval()
    expected, _ = own_hidden_states(body, packed)
    assert_same(body(packed), expected)


@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_are_the_familys_own(family, packed):
    body = tiny_source(family).body().eval()
    expected, model = own_hidden_states(body, packed)
    weight = torch.randn(expected.shape)
    (body(packed) * weight).sum().backward()
    (expected * weight).sum().backward()
    own = dict(model.named_parameters())
    for name, parameter in body.model.named_parameters():
        assert_same(parameter.grad, own[name].grad)


@pytest.mark.parametrize("family", PACKED_FAMILIES)
def test_families_with_the_attention_interface_read_packed(family):
    body = tiny_source(family).body()
    assert body.reads_packed
    assert body.padded_because is None


@pytest.mark.parametrize("family", PADDED_FAMILIES)
def test_families_without_it_read_padded_and_say_so(family):
    body = tiny_source(family).body()
    assert not body.reads_packed
    assert body.padded_because == f"{family} does not use transformers' attention interface"


@pytest.mark.parametrize(
    ("family", "trait"),
    [("mobilebert", "embeddings of neighbouring tokens"), ("esm", "the share of masks in a row")],
)
def test_a_family_that_reads_across_sequences_is_read_padded(family, trait):
    """They claim to support the interface, and reading them packed would be silently wrong."""
    options = {
        "mobilebert": {"embedding_size": 16, "intra_bottleneck_size": 16},
        "esm": {"token_dropout": True, "mask_token_id": 4, "position_embedding_type": "rotary"},
    }
    with quiet():
        model = AutoModel.from_config(tiny_config(family, **options[family]))
    assert model._supports_attention_backend
    body = Body(model)
    assert body.padded_because == "hidden states of packed and padded sequences differ"
    assert body.model.config._attn_implementation != "tartan_packed"


@pytest.mark.parametrize(
    ("family", "argument"),
    [("gemma2", "softcap"), ("t5gemma", "softcap"), ("doge", "attention_mask")],
)
def test_a_family_whose_attention_computes_more_is_read_padded(family, argument):
    """With the small weights at the start, its hidden states are those of plain attention."""
    options = {"num_key_value_heads": 1, "head_dim": 8, "initializer_range": 0.02}
    with quiet():
        model = AutoModel.from_config(tiny_config(family, **options))
        body = Body(model.get_encoder() if model.config.is_encoder_decoder else model)
    assert body.padded_because == f"packed attention does not compute '{argument}'"
    assert body.unpadded_because is None


def test_a_body_of_big_bird_says_that_it_attends_fully():
    options = {"attention_type": "block_sparse", "block_size": 4, "num_random_blocks": 1}
    with quiet():
        body = Body(AutoModel.from_config(tiny_config("big_bird", **options)))
    assert body.model.attention_type == body.model.config.attention_type == "original_full"


def test_a_source_of_big_bird_knows_that_its_attention_is_replaced(tmp_path):
    options = {"attention_type": "block_sparse", "block_size": 4, "num_random_blocks": 1}
    sparse = save_tiny(tmp_path / "sparse", "big_bird", **options)
    assert ModelSource.pretrained(AutoOptions(name=str(sparse))).replaced_sparse
    full = save_tiny(tmp_path / "full", "big_bird")
    edited = AutoConfig.from_pretrained(full)
    edited.attention_type = "original_full"
    edited.save_pretrained(full)
    assert not ModelSource.pretrained(AutoOptions(name=str(full))).replaced_sparse


def test_a_family_whose_tables_are_as_long_as_a_sequence_is_read_padded():
    class Embeddings(type(AutoModel.from_config(tiny_config()).embeddings)):
        def forward(self, input_ids=None, **inputs):
            return super().forward(input_ids, **inputs) + self.table[:, : input_ids.shape[1]]

    config = tiny_config()
    model = AutoModel.from_config(config)
    model.embeddings = Embeddings(config)
    model.embeddings.table = torch.zeros(1, config.max_position_embeddings, 1)
    body = Body(model)
    assert body.padded_because.startswith("RuntimeError: The size of tensor")


def test_a_trial_has_masks_and_no_padding_however_large_the_vocabulary():
    config = tiny_config(vocab_size=50000, mask_token_id=4)
    tokens = trial_tokens(config, 100)
    assert (tokens == 4).sum() >= 9
    assert not (tokens == config.pad_token_id).any()
    for padding in (0, 1, 6):
        few = trial_tokens(tiny_config(vocab_size=7, pad_token_id=padding), 100)
        assert not (few == padding).any()
        assert few.max() < 7


@pytest.mark.parametrize("family", FAMILIES)
def test_a_sequence_does_not_depend_on_its_neighbours(family, packed):
    body = tiny_source(family).body().eval()
    sequences = list(packed.input_ids.split(packed.lengths))
    forwards = dict(enumerate(body(packed).split(packed.lengths)))
    order = [4, 0, 7, 2, 6]
    chosen = Packed.of([sequences[i].tolist() for i in order])
    for i, hidden in zip(order, body(chosen).split(chosen.lengths), strict=True):
        assert_same(hidden, forwards[i])


@pytest.mark.parametrize("family", PACKED_FAMILIES)
def test_a_batch_may_hold_more_tokens_than_there_are_positions(family):
    body = tiny_source(family, max_position_embeddings=34).body().eval()
    ids = torch.arange(5, 37)
    packed = Packed(ids.repeat(20), (32,) * 20)
    hidden = body(packed).view(20, 32, -1)
    torch.testing.assert_close(hidden, hidden[:1].expand_as(hidden))


def test_a_window_shorter_than_the_sequence_is_kept():
    options = {"layer_types": ["sliding_attention"] * 2, "local_attention": 8}
    body = tiny_source("modernbert", **options).body().eval()
    assert body.reads_packed
    ids = torch.arange(5, 45)
    other = torch.cat([ids.new_tensor([50]), ids[1:]])
    changed = (body(Packed(ids, (40,))) != body(Packed(other, (40,)))).any(1)
    # Two layers, each of which sees 4 tokens on either side.
    assert changed[:9].all()
    assert not changed[9:].any()


def test_segments_reach_the_model(body, packed):
    body.eval()
    zeros = torch.zeros_like(packed.input_ids)
    explicit = Packed(packed.input_ids, packed.lengths, zeros)
    second = Packed(packed.input_ids, packed.lengths, zeros + 1)
    torch.testing.assert_close(body(explicit), body(packed))
    assert not torch.allclose(body(second), body(packed))


def test_segments_reach_a_padded_model(packed):
    body = tiny_source("deberta-v2", type_vocab_size=2).body().eval()
    ones = torch.ones_like(packed.input_ids)
    second = Packed(packed.input_ids, packed.lengths, ones)
    assert not torch.allclose(body(second), body(packed))


@pytest.mark.parametrize("family", FAMILIES)
def test_dropout_is_on_in_training_and_off_in_evaluation(family, packed):
    body = tiny_source(family).body()
    if family in ("modernbert", "albert"):
        for module in body.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.1
    assert body.training
    assert not torch.equal(body(packed), body(packed))
    body.eval()
    assert torch.equal(body(packed), body(packed))


@pytest.mark.parametrize("family", PACKED_FAMILIES)
def test_attention_weights_are_dropped_in_training(family, packed):
    options = {"distilbert": "attention_dropout", "modernbert": "attention_dropout"}
    off = {"hidden_dropout_prob": 0.0, "dropout": 0.0} if family != "modernbert" else {}
    name = options.get(family, "attention_probs_dropout_prob")
    body = tiny_source(family, **off, **{name: 0.5}).body()
    assert not torch.equal(body(packed), body(packed))
    assert body.reads_packed


@pytest.mark.parametrize("family", FAMILIES)
def test_bfloat16_is_finite_and_close(family, packed):
    body = tiny_source(family).body().eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        hidden = body(packed)
    assert hidden.isfinite().all()
    scale = body(packed).abs().max()
    assert (hidden.float() - body(packed)).abs().max() < 0.1 * scale
    hidden.float().sum().backward()
    assert all(p.grad.isfinite().all() for p in body.parameters() if p.grad is not None)


def test_a_body_has_no_pooler(body):
    assert not any("pooler" in name for name, _ in body.named_parameters())


def test_every_parameter_of_a_body_is_used(body, packed):
    body.eval()(packed).pow(2).sum().backward()
    assert all(p.grad is not None for p in body.parameters())


@pytest.mark.parametrize("family", ["bert", "mpnet"])
def test_making_a_body_leaves_the_random_state_alone(family):
    source = tiny_source(family)
    before = torch.get_rng_state()
    source.body()
    assert torch.equal(before, torch.get_rng_state())


def test_the_size_and_the_longest_sequence_are_known():
    bert, roberta = tiny_source("bert").body(), tiny_source("roberta").body()
    assert (bert.hidden_size, bert.max_length) == (16, 64)
    # Position 0 is unused and position 1 is padding's.
    assert (roberta.hidden_size, roberta.max_length) == (16, 62)
    assert tiny_source("mpnet").body().max_length == 62


@pytest.mark.parametrize("family", ["roberta", "mpnet"])
def test_the_longest_sequence_can_be_read(family):
    body = tiny_source(family).body().eval()
    longest = body.max_length
    assert body(Packed(torch.full((longest,), 9), (longest,))).shape == (longest, 16)
    with pytest.raises(ModelError, match=r"has 63 tokens, but .* reads at most 62: lower"):
        body(Packed(torch.full((longest + 1,), 9), (longest + 1,)))


def test_a_model_that_reads_no_tokens_is_refused():
    config = AutoConfig.for_model(
        "vit", hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    config.vocab_size, config.pad_token_id = 10, 0
    with quiet():
        model = AutoModel.from_config(config)
    with pytest.raises(
        ModelError, match=r"^vit cannot serve as a body: it does not turn token ids"
    ):
        Body(model)
