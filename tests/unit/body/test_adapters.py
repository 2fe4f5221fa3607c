"""LoRA adapters: what trains, what is exported, and that nothing else changes."""

import json

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from tartan.body import AutoOptions, ModelSource, export, export_adapter
from tartan.body.adapters import LoraOptions, adapted, precise
from tartan.body.exported import load_model, load_tokenizer
from tartan.errors import ConfigError, ModelError
from tartan.packed import Packed
from tartan.quiet import quiet
from tartan.testing import save_tiny
from tartan.train.weights_file import load_trained, save_trained

LABELS = ("no", "perhaps", "yes")
TEXTS = ["the model", "we train the network and show that our results are better", "good word"]
KINDS = {"bert": "MaskedLM", "roberta": "MaskedLM", "qwen3": "CausalLM", "gpt2": "CausalLM"}


def built(directory, family, **options):
    """Return source, body and head of a saved tiny model whose adapters are no longer 0."""
    if not directory.exists():
        torch.manual_seed(0)
        save_tiny(directory, family, KINDS[family])
    lora = LoraOptions(**{"r": 4, "alpha": 8, **options})
    source = ModelSource.pretrained(AutoOptions(name=str(directory), lora=lora))
    body = source.body()
    head = source.head("SequenceClassification", body, LABELS)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in body.parameters():
            if parameter.requires_grad:
                parameter.normal_(std=0.3)
    return source, body.eval(), head.eval()


def logits(source, body, head):
    packed = Packed.of(source.tokenizer(TEXTS)["input_ids"])
    with torch.no_grad(), precise(body):
        return head(packed.pad(body(packed)), packed.mask)


def plain(directory, **options):
    """Return logits of the texts by plain transformers."""
    tokenizer = AutoTokenizer.from_pretrained(directory)
    with quiet(), torch.no_grad():
        model = AutoModelForSequenceClassification.from_pretrained(
            directory, dtype=torch.float32, **options
        )
        return model.eval()(**tokenizer(TEXTS, padding=True, return_tensors="pt")).logits


@pytest.mark.parametrize("family", KINDS)
def test_adapters_alone_train_and_start_at_nothing(family, tmp_path):
    save_tiny(tmp_path / "saved", family, KINDS[family])
    options = AutoOptions(name=str(tmp_path / "saved"))
    packed = Packed.of([[5, 6, 7], [8, 9]])
    expected = ModelSource.pretrained(options).body().eval()(packed)
    options.lora = LoraOptions(r=2)
    body = ModelSource.pretrained(options).body()
    trained = [name for name, p in body.named_parameters() if p.requires_grad]
    assert trained
    assert all(".lora_" in name for name in trained)
    assert body.reads_packed
    torch.testing.assert_close(body.eval()(packed), expected)


@pytest.mark.parametrize("base", ["fp32", "bf16"])
@pytest.mark.parametrize("family", KINDS)
def test_both_exports_give_the_same_logits(family, base, tmp_path):
    source, body, head = built(tmp_path / "saved", family, base=base)
    expected = logits(source, body, head)
    before = {name: value.clone() for name, value in body.state_dict().items()}
    export(body, head, source.tokenizer, tmp_path / "merged")
    export_adapter(body, head, source, tmp_path / "adapter")
    for name, value in body.state_dict().items():
        assert torch.equal(value, before[name])
        assert value.dtype == before[name].dtype
    found = plain(tmp_path / "merged")
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert not (tmp_path / "merged" / "adapter_config.json").exists()
    whole = load_model(tmp_path / "adapter")
    assert type(whole) is type(head.model)
    assert not adapted(whole)
    assert whole.config.id2label == head.model.config.id2label
    given = load_tokenizer(tmp_path / "adapter")(TEXTS, padding=True, return_tensors="pt")
    with torch.no_grad():
        torch.testing.assert_close(whole(**given).logits, expected, atol=1e-5, rtol=1e-5)
    if base == "fp32":
        config = AutoConfig.from_pretrained(tmp_path / "adapter", subfolder="config")
        found = plain(tmp_path / "adapter", config=config)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
        assert not (tmp_path / "adapter" / "model.safetensors").exists()
        config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
        assert config["base_model_name_or_path"] == str(tmp_path / "saved")


def test_frozen_weights_are_held_in_bf16_and_adapters_in_float32(tmp_path):
    _, body, _ = built(tmp_path / "saved", "qwen3", base="bf16")
    for parameter in body.parameters():
        assert parameter.dtype == (torch.float32 if parameter.requires_grad else torch.bfloat16)
    with body.precise():
        assert all(parameter.dtype == torch.float32 for parameter in body.parameters())


def test_a_file_holds_what_trains_and_restores_it_exactly(tmp_path):
    source, body, head = built(tmp_path / "saved", "qwen3")
    model = torch.nn.ModuleList([body, head])
    expected = logits(source, body, head)
    save_trained(model, tmp_path / "weights")
    names = list(load_file(tmp_path / "weights"))
    assert all("lora_" in name or "score" in name for name in names)
    _, other, again = built(tmp_path / "saved", "qwen3")
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(1 + parameter.requires_grad)
    load_trained(torch.nn.ModuleList([other, again]), tmp_path / "weights")
    assert torch.equal(logits(source, other, again), expected)
    with pytest.raises(RuntimeError, match="without"):
        load_trained(
            torch.nn.ModuleList([other, again, torch.nn.Linear(1, 1)]), tmp_path / "weights"
        )


def test_a_loaded_language_model_head_is_frozen_with_the_body(tmp_path):
    save_tiny(tmp_path / "saved", "qwen3", "CausalLM", tie_word_embeddings=False)
    source, body, head = built(tmp_path / "saved", "qwen3")
    assert all(parameter.requires_grad for parameter in head.parameters())
    words = source.head("CausalLM", body)
    assert not any(parameter.requires_grad for parameter in words.parameters())


def test_target_modules_choose_the_layers(tmp_path):
    _, body, _ = built(tmp_path / "saved", "qwen3", target_modules=["q_proj", "v_proj"])
    assert {name.rpartition(".")[2] for name in adapted(body.model)} == {"q_proj", "v_proj"}
    with pytest.raises(ModelError, match=r"^model.lora.target_modules=\['query'\]: Target modules"):
        built(tmp_path / "saved", "qwen3", target_modules=["query"])


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"r": -1}, "model.lora.r must be at least 1, or 0 for no adapters, got -1."),
        ({"dropout": 1.0}, "model.lora.dropout must be in [0, 1), got 1.0."),
        ({"alpha": 0.0}, "model.lora.alpha must be more than 0 and finite, got 0.0."),
        ({"base": "int8"}, "model.lora.base=int8: choose from: bf16, fp32"),
        ({"export": "merge"}, "model.lora.export=merge: did you mean 'merged'?"),
    ],
)
def test_an_option_without_a_meaning_is_refused(options, text):
    with pytest.raises(ConfigError) as caught:
        LoraOptions(**options)
    assert str(caught.value) == text
