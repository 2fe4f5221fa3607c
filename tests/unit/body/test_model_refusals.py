"""A model that cannot be used is one line."""

import os
import subprocess
import sys

import pytest
from safetensors.torch import load_file, save_file
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertModel,
)

from support.checkpoints import edit_json, load, refusal
from tartan.body import AutoOptions, ModelSource
from tartan.errors import ModelError
from tartan.quiet import quiet
from tartan.testing import save_tiny, tiny_config, tiny_tokenizer


def test_no_name_is_refused():
    with pytest.raises(ModelError) as caught:
        ModelSource.pretrained(AutoOptions())
    expected = "model.name is empty: give a directory or an id on the Hugging Face hub"
    assert str(caught.value) == expected


@pytest.mark.parametrize("name", ["./missing", "/no/such/place", "~/no-such-place", "a/b/c"])
def test_a_missing_directory_is_named(name):
    assert refusal(name) == f"model.name={name}: there is no such directory"


def test_a_file_is_refused(saved):
    name = saved / "config.json"
    assert refusal(name) == f"model.name={name} is a file: give the directory it is in"


def test_a_directory_without_a_model_is_refused(tmp_path):
    assert refusal(tmp_path) == f"model.name={tmp_path}: the directory has no config.json"


def test_an_adapter_is_not_a_model(tmp_path):
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "some/base"}')
    expected = (
        f"model.name={tmp_path} holds an adapter of some/base, not a model: merge it with peft's "
        "merge_and_unload and save the result, or train the base model"
    )
    assert refusal(tmp_path) == expected
    tiny_config().save_pretrained(tmp_path)  # beside a complete model too
    assert refusal(tmp_path) == expected


def test_a_directory_of_sentence_transformers_names_the_model_inside(tmp_path):
    (tmp_path / "modules.json").write_text("[]")
    tiny_config().save_pretrained(tmp_path / "0_Transformer")
    assert refusal(tmp_path) == (
        f"model.name={tmp_path} is a directory of sentence-transformers with the model inside: "
        f"give {tmp_path / '0_Transformer'}"
    )


def test_a_model_of_sentence_transformers_beside_its_modules_is_used(saved):
    (saved / "modules.json").write_text("[]")
    assert load(saved).body().reads_packed


def test_a_directory_inside_is_named(tmp_path):
    tiny_config().save_pretrained(tmp_path / "final")
    assert refusal(tmp_path) == (
        f"model.name={tmp_path}: the directory has no config.json; {tmp_path / 'final'} has one"
    )


def test_gguf_weights_are_refused(tmp_path):
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    assert refusal(tmp_path) == (
        f"model.name={tmp_path} holds quantised weights (GGUF), which cannot be trained: give the "
        "model that they were made from"
    )


def test_quantised_weights_are_refused(saved):
    quantised = {"quant_method": "bitsandbytes", "load_in_4bit": True}
    edit_json(saved / "config.json", quantization_config=quantised)
    assert refusal(saved) == (
        f"model.name={saved} has quantised weights (bitsandbytes), which cannot be trained: give "
        "the model that they were made from; model.lora.base=bf16 halves its memory"
    )


HUB = """
import http.server, sys, threading, time
from pathlib import Path

class Hub(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self):
        gated = "gated" in self.path
        self.send_response(403 if gated else 404)
        self.send_header("X-Error-Code", "GatedRepo" if gated else "RepoNotFound")
        self.send_header("Content-Length", "0")
        self.end_headers()
    do_GET = do_HEAD
    def log_message(self, *_):
        pass

import os
server = http.server.HTTPServer(("127.0.0.1", 0), Hub)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ["HF_ENDPOINT"] = f"http://127.0.0.1:{server.server_port}"
os.environ["HF_HOME"] = sys.argv[1]
from tartan.body import AutoOptions, ModelSource
from tartan.errors import ModelError

def refused(name):
    try:
        ModelSource.pretrained(AutoOptions(name=name))
    except ModelError as error:
        print(str(error).replace(os.environ["HF_ENDPOINT"], "HUB"))

refused("some/missing")
refused("some/gated")
server.shutdown()
server.server_close()
time.sleep = lambda seconds: None  # the hub's client tries again, later and later
refused("some/model")
from huggingface_hub import constants
constants.HF_HUB_OFFLINE = True
refused("some/model")
"""


@pytest.mark.heavy
def test_the_hubs_answers_are_told_apart(tmp_path):
    """A server in the place of the hub: a model that is not there, a gated one, no server."""
    ran = subprocess.run(
        [sys.executable, "-c", HUB, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env={k: v for k, v in os.environ.items() if k not in ("HF_HUB_OFFLINE", "HF_TOKEN")},
    )
    assert ran.stdout.splitlines() == [
        "model.name=some/missing: there is no such directory here, and no such model on the "
        "Hugging Face hub; if it is private, log in with `hf auth login`",
        "model.name=some/gated is a gated model: accept its terms at HUB/some/gated, and log in "
        "with `hf auth login`",
        "model.name=some/model is not a local directory and not in the Hugging Face cache, and the "
        "hub cannot be reached (HUB): check the network, or give a directory",
        "model.name=some/model is not a local directory and not in the Hugging Face cache, and "
        "HF_HUB_OFFLINE forbids to download it: unset it, or give a directory",
    ], ran.stderr


def test_an_unknown_architecture_is_refused(saved):
    edit_json(saved / "config.json", model_type="nonesuch")
    text = refusal(saved)
    assert text.startswith(f"model.name={saved}: its configuration cannot be used (")
    assert "nonesuch" in text


def test_a_model_without_a_tokenizer_is_refused(saved):
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (saved / name).unlink()
    assert refusal(saved) == f"model.name={saved} has no tokenizer: its vocabulary is empty"


def test_a_tokenizer_that_does_not_load_is_refused(saved):
    (saved / "tokenizer.json").write_text("not json")
    assert refusal(saved).startswith(f"model.name={saved}: its tokenizer cannot be loaded (")


def test_a_tokenizer_larger_than_the_body_is_refused(tmp_path):
    directory = save_tiny(tmp_path / "saved", vocab_size=40)
    assert refusal(directory) == (
        f"model.name={directory}: its tokenizer has 69 tokens, its weights have embeddings for 40: "
        "use the tokenizer that the model was trained with"
    )


def test_a_tokenizer_without_a_mask_is_no_error(saved):
    tokenizer = AutoTokenizer.from_pretrained(saved)
    tokenizer.mask_token = None
    tokenizer.save_pretrained(saved)
    assert load(saved).tokenizer.mask_token is None


def test_an_encoder_decoder_is_refused(tmp_path):
    AutoConfig.for_model("bart", vocab_size=100).save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    text = refusal(tmp_path)
    assert text == (
        f"model.name={tmp_path} (bart) is an encoder-decoder: choose an encoder or a decoder"
    )


def test_an_architecture_without_a_body_is_refused(saved, monkeypatch):
    monkeypatch.setattr(AutoModel, "_model_mapping", {})
    assert refusal(saved) == (
        f"model.name={saved} (bert) has an architecture without a base model in transformers: "
        "choose another model family"
    )


def test_a_body_that_names_no_prefix_is_refused(saved, monkeypatch):
    monkeypatch.setattr(BertModel, "base_model_prefix", "")
    assert refusal(saved) == (
        f"model.name={saved} (bert) does not name the body in its models with a head: choose "
        "another model family"
    )


def test_a_configuration_that_describes_no_body_is_refused(saved):
    edit_json(saved / "config.json", num_attention_heads=3)
    text = refusal(saved)
    assert text.startswith(f"model.name={saved} (bert) cannot be built from its configuration (")


def test_a_checkpoint_without_weights_is_refused(saved):
    (saved / "model.safetensors").unlink()
    with pytest.raises(ModelError) as caught:
        load(saved).body()
    assert str(caught.value).startswith(f"model.name={saved}: its weights cannot be loaded (")


def test_a_broken_checkpoint_is_refused(saved):
    (saved / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(ModelError) as caught:
        load(saved).body()
    assert str(caught.value).startswith(f"model.name={saved}: its weights cannot be loaded (")


def test_a_checkpoint_without_all_of_the_body_is_refused(saved):
    edit_json(saved / "config.json", num_hidden_layers=3)
    with pytest.raises(ModelError) as caught:
        load(saved).body()
    assert str(caught.value) == (
        f"model.name={saved} has no weights of the right shape for 16 parameters of its body, "
        "for example encoder.layer.2.attention.output.LayerNorm.bias"
    )


def test_a_checkpoint_of_another_shape_is_refused(saved):
    edit_json(saved / "config.json", intermediate_size=48)
    with pytest.raises(ModelError, match="has no weights of the right shape for 6 parameters"):
        load(saved).body()


def spoil(directory, value, wanted):
    """Put a value into the first weight whose name has a part; its name and file."""
    for path in sorted(directory.glob("*.safetensors")):
        tensors = load_file(path)
        for name in sorted(tensors):
            if wanted in name:
                tensors[name].view(-1)[3] = value
                save_file(tensors, path, {"format": "pt"})
                return name, path.name
    raise AssertionError(wanted)


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_a_weight_that_is_not_finite_is_named(saved, value):
    name, file = spoil(saved, value, "layer.1.output.dense.weight")
    with pytest.raises(ModelError) as caught:
        load(saved).body()
    assert str(caught.value) == (
        f"model.name={saved}: weight {name.removeprefix('bert.')} in {file}: 1 of its 512 values "
        f"are not finite, the first one {value}: choose another checkpoint, or save this one again "
        "from finite weights"
    )


def test_a_weight_that_is_not_finite_is_found_in_its_shard(tmp_path):
    with quiet():
        model = AutoModelForSequenceClassification.from_config(tiny_config())
        model.save_pretrained(tmp_path, max_shard_size="4KB")
    tiny_tokenizer().save_pretrained(tmp_path)
    assert len(list(tmp_path.glob("*.safetensors"))) > 3
    _, file = spoil(tmp_path, float("nan"), "classifier.weight")
    source = load(tmp_path)
    body = source.body()
    with pytest.raises(ModelError, match=rf"weight classifier.weight in {file}: 1 of its 32 "):
        source.head("SequenceClassification", body, ("LABEL_0", "LABEL_1"))


def test_weights_that_are_finite_and_too_large_are_not_blamed_on_the_family(saved):
    spoil(saved, 3e38, "embeddings.word_embeddings.weight")
    for part in ("LayerNorm.weight", "query.weight", "key.weight"):
        spoil(saved, 3e38, part)
    source = load(saved)
    with pytest.raises(ModelError, match="not finite"):
        source.head("SequenceClassification", source.body(), ("a", "b"))
