"""A head is the family's own, computing the family's own logits from the body's hidden states."""

import pytest
import torch
import transformers
from transformers import AutoModelForMaskedLM, AutoModelForSequenceClassification

from tartan.body.export import reassembled
from tartan.body.lift import lift
from tartan.errors import ModelError
from tartan.quiet import quiet
from tartan.testing import FAMILIES, tiny_config, tiny_source

LABELS = ("no", "perhaps", "yes")
KINDS = {
    "MaskedLM": None,
    "SequenceClassification": LABELS,
    "TokenClassification": LABELS,
}


def padded_inputs(packed):
    """What plain Hugging Face code would feed its own model."""
    return {
        "input_ids": packed.pad(packed.input_ids, fill=1),
        "attention_mask": packed.mask.long(),
    }


def familys_own_logits(body, head, packed):
    """The logits of a plain Hugging Face model with the weights of body and head."""
    with quiet(), reassembled(body, head) as model:
        own = type(model)(tiny_config(body.model.config.model_type, num_labels=len(LABELS)))
        own.load_state_dict(model.state_dict())
    if hasattr(model.config, "classifier_pooling"):
        own.config.classifier_pooling = model.config.classifier_pooling
    return own.eval()(**padded_inputs(packed)).logits


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", FAMILIES)
def test_logits_are_the_familys_own(family, kind, packed):
    source = tiny_source(family)
    body = source.body().eval()
    head = source.head(kind, body, KINDS[kind]).eval()
    found = head(packed.pad(body(packed)), packed.mask)
    expected = familys_own_logits(body, head, packed)
    if kind != "SequenceClassification":
        found, expected = found[packed.mask], expected[packed.mask]
    assert found.shape[-1] == (len(source.tokenizer) if kind == "MaskedLM" else len(LABELS))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_modernbert_may_pool_by_the_mean_of_real_tokens(pooling, packed):
    source = tiny_source("modernbert", classifier_pooling=pooling)
    body = source.body().eval()
    head = source.head("SequenceClassification", body, LABELS).eval()
    found = head(packed.pad(body(packed), fill=100.0), packed.mask)
    expected = familys_own_logits(body, head, packed)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_word_logits_of_some_tokens_are_those_of_all(family, packed):
    source = tiny_source(family)
    body = source.body().eval()
    head = source.head("MaskedLM", body).eval()
    hidden = body(packed)
    positions = torch.tensor([0, 3, 50, 90])
    some = head(hidden[positions][None])[0]
    torch.testing.assert_close(some, head(hidden[None])[0, positions])


@pytest.mark.parametrize("family", FAMILIES)
def test_the_decoder_is_the_bodys_embedding(family, packed):
    source = tiny_source(family)
    body = source.body()
    head = source.head("MaskedLM", body)
    (name, embedding) = next(iter(head.borrowed.items()))
    weight = body.model.get_input_embeddings().weight
    assert body.model.get_parameter(embedding) is weight
    path, _, attribute = name.rpartition(".")
    assert getattr(head.model.get_submodule(path), attribute) is weight
    head(body(packed).detach()[None]).sum().backward()
    assert weight.grad is not None
    assert weight.grad.abs().sum() > 0


@pytest.mark.parametrize("family", FAMILIES)
def test_a_borrowed_weight_is_no_parameter_of_the_head(family):
    source = tiny_source(family)
    body = source.body()
    head = source.head("MaskedLM", body)
    ours = {id(p) for p in body.parameters()}
    assert not any(id(p) in ours for p in head.parameters())
    assert not any(name.removeprefix("model.") in head.borrowed for name in head.state_dict())
    again = source.head("MaskedLM", body)
    again.load_state_dict(head.state_dict())
    hidden = torch.randn(1, 3, 16)
    torch.testing.assert_close(again.eval()(hidden), head.eval()(hidden))


def test_a_decoder_that_is_not_tied_is_the_heads_own():
    source = tiny_source("bert", tie_word_embeddings=False)
    body = source.body()
    head = source.head("MaskedLM", body)
    assert head.borrowed == {}
    assert "model.cls.predictions.decoder.weight" in head.state_dict()


@pytest.mark.parametrize("family", ["bert", "albert"])
def test_the_pooler_is_the_classifiers(family):
    source = tiny_source(family)
    body = source.body()
    head = source.head("SequenceClassification", body, LABELS)
    assert any("pooler" in name for name, _ in head.named_parameters())
    head(torch.randn(2, 3, 16)).sum().backward()
    assert all(p.grad is not None for p in head.parameters())


@pytest.mark.parametrize("family", FAMILIES)
def test_a_heads_dropout_is_on_in_training_and_off_in_evaluation(family):
    source = tiny_source(family)
    head = source.head("SequenceClassification", source.body(), LABELS)
    for module in head.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.3
    hidden, mask = torch.randn(2, 5, 16), torch.ones(2, 5, dtype=torch.bool)
    assert head.training
    assert not torch.equal(head(hidden, mask), head(hidden, mask))
    head.eval()
    assert torch.equal(head(hidden, mask), head(hidden, mask))


def test_the_bodys_training_trains_the_decoder(packed):
    source = tiny_source("roberta")
    body = source.body().eval()
    head = source.head("MaskedLM", body).eval()
    hidden = torch.randn(1, 4, 16)
    before = head(hidden)
    optimiser = torch.optim.SGD(body.parameters(), lr=1.0)
    body(packed).pow(2).sum().backward()
    optimiser.step()
    assert not torch.allclose(before, head(hidden))


def test_labels_are_in_the_configuration(source, body):
    config = source.head("SequenceClassification", body, LABELS).model.config
    assert config.id2label == {0: "no", 1: "perhaps", 2: "yes"}
    assert config.label2id == {"no": 0, "perhaps": 1, "yes": 2}
    assert config.num_labels == 3
    assert source.config.num_labels == 2


def test_making_a_head_leaves_the_random_state_alone(source, body):
    before = torch.get_rng_state()
    source.head("SequenceClassification", body, LABELS)
    assert torch.equal(before, torch.get_rng_state())


def test_a_head_that_needs_more_than_hidden_states_is_refused():
    source = tiny_source("longformer", attention_window=4, sep_token_id=2)
    with pytest.raises(ModelError) as caught:
        source.head("SequenceClassification", source.body(), LABELS)
    text = str(caught.value)
    assert text.startswith(
        "LongformerForSequenceClassification cannot be used as a head: it needs more than the "
        "body's hidden states ("
    )
    assert text.endswith("; choose another kind of end task, or another model family")


def test_a_head_whose_logits_change_is_refused(source, body):
    class Peeking(transformers.BertForMaskedLM):
        def forward(self, input_ids=None, **inputs):
            output = super().forward(input_ids=input_ids, **inputs)
            if input_ids is not None:
                output.logits = output.logits + input_ids[..., None] * 0.01
            return output

    with pytest.raises(ModelError, match="its logits differ when only hidden states are given"):
        lift(Peeking(tiny_config("bert")), body)


def test_a_head_of_another_body_is_refused(body):
    with quiet():
        model = AutoModelForMaskedLM.from_config(tiny_config("bert", vocab_size=90))
    with pytest.raises(ModelError, match=r"has shape \(90, 16\) and the body's has \(69, 16\)"):
        lift(model, body)


def test_a_base_model_is_no_head(body):
    with pytest.raises(ModelError, match="BertModel has no body to lift out"):
        lift(transformers.BertModel(tiny_config("bert")), body)


def test_an_unknown_kind_of_head_is_suggested(source, body):
    with pytest.raises(ModelError) as caught:
        source.head("MaskLM", body)
    assert str(caught.value) == "unknown kind of head 'MaskLM': did you mean 'MaskedLM'?"


def test_a_family_without_a_head_says_which_it_has():
    source = tiny_source("distilbert")
    with pytest.raises(ModelError) as caught:
        source.head("NextSentencePrediction", source.body())
    text = str(caught.value)
    assert text.startswith("distilbert has no NextSentencePrediction head in transformers; it has:")
    assert "MaskedLM" in text
    assert "CausalLM" not in text


def test_only_what_is_new_is_reported(tmp_path, body):
    with quiet():
        model = AutoModelForSequenceClassification.from_config(tiny_config("bert", num_labels=3))
    new = {"classifier.weight", "classifier.bias", "bert.embeddings.word_embeddings.weight"}
    assert lift(model, body, new).new_parameters == ("classifier.weight", "classifier.bias")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("kind", ["SequenceClassification", "TokenClassification"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_head_on_labels_computes_in_float32_in_any_precision(family, kind, dtype, packed):
    source = tiny_source(family)
    body = source.body().eval()
    head = source.head(kind, body, LABELS).eval()
    with torch.autocast("cpu", dtype):
        hidden = packed.pad(body(packed).to(dtype))
        found = head(hidden, packed.mask)
    assert found.dtype == torch.float32
    assert torch.equal(found, head(hidden.float(), packed.mask))


def test_a_language_models_head_computes_in_the_bodys_precision(source, body, packed):
    head = source.head("MaskedLM", body)
    with torch.autocast("cpu", torch.bfloat16):
        assert head(body(packed)[None]).dtype == torch.bfloat16
