"""Decoders as bodies: read left to right, pooled at the last token, padded by a token of theirs."""

import pytest
import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from support.checkpoints import load
from support.context import TinyContext
from tartan import CorpusOptions
from tartan.body import export
from tartan.data import tokenize
from tartan.errors import ModelError
from tartan.packed import Packed
from tartan.plugins import discover as plugins
from tartan.quiet import quiet
from tartan.sequence import token_read
from tartan.testing import save_tiny, tiny_source
from tartan_objectives.clm import CLM
from tartan_objectives.mlm import MLM, MLMOptions
from tartan_objectives.rtd import RTD, RTDOptions

DECODERS = ("gpt2", "llama", "qwen2", "qwen3", "smollm3", "gemma", "mistral")
RELATIVE = tuple(family for family in DECODERS if family != "gpt2")
LABELS = ("no", "perhaps", "yes")
TEXTS = ["a model", "we train a network and show that our results are better", "a good word"]
"""Each has an a, the only one of these letters that the tiny tokenizer of Qwen2 knows."""


@pytest.mark.parametrize("family", DECODERS)
def test_a_decoder_reads_packed_and_left_to_right_whatever_the_batch_says(family, packed):
    body = tiny_source(family).body().eval()
    assert body.reads_packed
    assert body.causal
    alone = [body(Packed(s, (len(s),))) for s in packed.input_ids.split(packed.lengths)]
    torch.testing.assert_close(body(packed), torch.cat(alone), atol=5e-6, rtol=1e-5)
    changed = packed.input_ids.clone()
    changed[packed.ends] = 60
    same = torch.ones(len(changed), dtype=torch.bool)
    same[packed.ends] = False
    other = body(packed.with_input_ids(changed))
    torch.testing.assert_close(other[same], body(packed)[same])


@pytest.mark.parametrize("family", ["bert", "modernbert", "deberta-v2", "mpnet"])
def test_an_encoder_is_not_taken_for_a_decoder(family):
    assert not tiny_source(family).body().causal


@pytest.mark.parametrize("family", DECODERS)
def test_the_head_reads_the_last_token(family):
    source = tiny_source(family)
    head = source.head("SequenceClassification", source.body(), LABELS)
    assert head.last
    assert token_read(head, 16) == "last"
    encoder = tiny_source("bert")
    assert token_read(encoder.head("SequenceClassification", encoder.body(), LABELS), 16) == "first"


@pytest.mark.parametrize("family", DECODERS)
def test_the_exported_decoder_pads_as_it_was_trained(family, tmp_path):
    source = load(save_tiny(tmp_path / "saved", family, "CausalLM", bare=True))
    assert source.config.pad_token_id == source.tokenizer.pad_token_id
    assert source.tokenizer.pad_token == ("<|endoftext|>" if family == "qwen2" else "[SEP]")
    body = source.body().eval()
    head = source.head("SequenceClassification", body, LABELS).eval()
    packed = Packed.of(source.tokenizer(TEXTS)["input_ids"])
    expected = head(packed.pad(body(packed)), packed.mask).detach()
    export(body, head, source.tokenizer, tmp_path / "model")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    with quiet():
        model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model").eval()
    assert tokenizer.padding_side == "right"
    batches = [tokenizer(TEXTS, padding=True, return_tensors="pt")]
    if family in RELATIVE:  # GPT-2's learned positions count from the left edge in transformers
        tokenizer.padding_side = "left"
        batches.append(tokenizer(TEXTS, padding=True, return_tensors="pt"))
    for batch in batches:
        found = model(**batch).logits
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    for text, logits in zip(TEXTS, expected, strict=True):
        found = model(**tokenizer(text, return_tensors="pt")).logits[0]
        torch.testing.assert_close(found, logits, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("family", ["gpt2", "qwen3"])
def test_the_language_model_head_is_the_familys_own(family, tied, tmp_path, packed):
    directory = save_tiny(tmp_path / "saved", family, "CausalLM", tie_word_embeddings=tied)
    source = load(directory)
    body = source.body().eval()
    head = source.head("CausalLM", body).eval()
    assert bool(head.borrowed) == tied
    assert bool(list(head.parameters())) == (not tied)
    with quiet():
        own = AutoModelForCausalLM.from_pretrained(directory).eval()
    logits = [own(s[None]).logits[0] for s in packed.input_ids.split(packed.lengths)]
    torch.testing.assert_close(head(body(packed)[None])[0], torch.cat(logits), atol=1e-5, rtol=1e-5)


def test_clm_uses_it_and_objectives_that_look_ahead_say_so():
    context = TinyContext(tiny_source("qwen3"))
    assert CLM(CorpusOptions(), context).head.model.__class__.__name__ == "Qwen3ForCausalLM"
    for objective, options in ((MLM, MLMOptions()), (RTD, RTDOptions())):
        with pytest.raises(ModelError) as caught:
            objective(options, context)
        assert str(caught.value) == (
            "objectives.mine needs a body that reads in both directions, and this model is a "
            "decoder, which reads left to right: choose clm instead, or an encoder as model"
        )


@pytest.mark.parametrize("name", ["simcse", "supcon", "bow", "sop", "declutr", "composed"])
def test_other_objectives_read_a_decoder(name):
    context = TinyContext(tiny_source("qwen3"))
    objective = plugins().objectives[name].cls
    options = objective.Options()
    if name == "composed":
        options.transform, options.attention, options.output = "none", "left_to_right", "next"
    built = objective(options, context)
    rows = [dict(row) for row in built.examples()][:4]
    batch = built.prepare(built.collate(rows, torch.Generator().manual_seed(0)))
    loss = built.loss(context.body(batch.inputs), batch).total
    loss.backward()
    assert loss.isfinite()
    if name not in ("composed", "declutr"):
        assert {*batch.inputs.wanted.tolist()} <= {*batch.inputs.ends.tolist()}


def test_a_token_that_ends_texts_does_not_pad(tmp_path):
    """The head would read the token before it."""
    directory = save_tiny(tmp_path / "saved", "qwen3", "CausalLM")
    tokenizer = AutoTokenizer.from_pretrained(directory)
    tokenizer.pad_token = "[SEP]"  # which ends each text
    tokenizer.save_pretrained(directory)
    source = load(directory)
    assert source.tokenizer.pad_token == "[UNK]"
    assert source.config.pad_token_id == source.tokenizer.pad_token_id


def test_a_decoder_with_nothing_to_pad_with_is_refused(tmp_path):
    directory = save_tiny(tmp_path / "saved", "qwen3", "CausalLM", bare=True)
    tokenizer = AutoTokenizer.from_pretrained(directory)
    tokenizer.eos_token = tokenizer.unk_token = None
    tokenizer.save_pretrained(directory)
    with pytest.raises(ModelError, match=r"its tokenizer has no token to pad with: set its pad_"):
        load(directory)


def test_a_text_without_a_token_gets_one(tmp_path):

    source = load(save_tiny(tmp_path / "saved", "qwen3", "CausalLM", bare=True))
    found = tokenize(Dataset.from_dict({"text": [" ", "the model"]}), source.tokenizer, 8)
    assert found.rows[0]["input_ids"] == [source.tokenizer.eos_token_id]
    assert found.counts.empty == 1
