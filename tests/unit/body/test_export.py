"""What is exported is a plain Hugging Face directory, and training goes on."""

import json
import subprocess
import sys

import pytest
import torch

from tartan.body import ModelSource, export
from tartan.body.source import AutoOptions
from tartan.errors import StorageError
from tartan.packed import Packed
from tartan.testing import FAMILIES, tiny_source

LABELS = ("no", "perhaps", "yes")
TEXTS = [
    "the model",
    "we train the network and show that our results are better than previous work",
]

PLAIN = """
import json, sys
from transformers import AutoModelForSequenceClassification, AutoTokenizer
answers = {}
for directory in json.loads(sys.argv[1]):
    tokenizer = AutoTokenizer.from_pretrained(directory)
    model = AutoModelForSequenceClassification.from_pretrained(directory).eval()
    batch = tokenizer(json.loads(sys.argv[2]), padding=True, truncation=True, return_tensors="pt")
    answers[directory] = {
        "logits": model(**{k: batch[k] for k in ("input_ids", "attention_mask")}).logits.tolist(),
        "labels": model.config.id2label,
        "longest": tokenizer.model_max_length,
    }
assert not any(name.split(".")[0] == "tartan" for name in sys.modules)
print(json.dumps(answers))
"""


def logits(source, body, head):
    packed = Packed.of(source.tokenizer(TEXTS)["input_ids"])
    return head(packed.pad(body(packed)), packed.mask)


def built(family="bert"):
    source = tiny_source(family)
    body = source.body()
    return source, body, head_of(source, body)


def head_of(source, body):
    return source.head("SequenceClassification", body, LABELS)


def test_plain_transformers_gives_the_same_logits(tmp_path):
    """All families in one process that never imports tartan."""
    expected = {}
    for family in FAMILIES:
        source, body, head = built(family)
        export(body, head, source.tokenizer, tmp_path / family)
        expected[str(tmp_path / family)] = logits(source, body.eval(), head.eval())
    arguments = [json.dumps(list(expected)), json.dumps(TEXTS)]
    ran = subprocess.run(
        [sys.executable, "-c", PLAIN, *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    answers = json.loads(ran.stdout)
    for directory, wanted in expected.items():
        found = torch.tensor(answers[directory]["logits"])
        torch.testing.assert_close(found, wanted.detach(), atol=1e-5, rtol=1e-5)
        assert answers[directory]["labels"] == {"0": "no", "1": "perhaps", "2": "yes"}
        assert answers[directory]["longest"] == 48


@pytest.mark.parametrize("family", FAMILIES)
def test_training_goes_on_after_an_export(tmp_path, family):
    """With and without an export between, two steps end in the same weights."""
    ends = []
    for exporting in (False, True):
        torch.manual_seed(0)
        source, body, head = built(family)
        decoder = source.head("MaskedLM", body)
        body.eval(), head.eval(), decoder.eval()
        modules = torch.nn.ModuleList([body, head, decoder])
        names = list(modules.state_dict())
        optimiser = torch.optim.SGD(modules.parameters(), lr=0.1)
        for _ in range(2):
            optimiser.zero_grad()
            words = decoder(torch.ones(1, 2, 16))
            (logits(source, body, head).pow(2).sum() + words.pow(2).mean()).backward()
            optimiser.step()
            if exporting:
                export(body, head, source.tokenizer, tmp_path / "model")
                export(body, decoder, source.tokenizer, tmp_path / "words")
        assert list(modules.state_dict()) == names
        ends.append(modules.state_dict())
    for name, value in ends[0].items():
        torch.testing.assert_close(ends[1][name], value)


def test_nothing_of_tartan_is_in_the_directory(tmp_path):
    source, body, head = built("roberta")
    export(body, head, source.tokenizer, tmp_path / "model")
    names = sorted(path.name for path in (tmp_path / "model").iterdir())
    assert names == ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
    for name in ("config.json", "tokenizer_config.json"):
        text = (tmp_path / "model" / name).read_text()
        assert "tartan" not in text
        assert str(tmp_path) not in text
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert config["architectures"] == ["RobertaForSequenceClassification"]
    assert config["dtype"] == "float32"
    assert "_attn_implementation" not in config
    assert "attn_implementation" not in config


def test_the_body_reads_packed_as_before(tmp_path, packed):
    source, body, head = built()
    body.eval()
    before = body(packed)
    export(body, head, source.tokenizer, tmp_path / "model")
    assert torch.equal(body(packed), before)
    assert not any("pooler" in name for name in body.state_dict())


def test_an_earlier_export_is_replaced_whole(tmp_path):
    source, body, head = built()
    target = tmp_path / "run" / "model"
    target.mkdir(parents=True)
    (target / "stale.bin").write_text("old")
    export(body, head, source.tokenizer, target)
    assert not (target / "stale.bin").exists()
    assert [path.name for path in target.parent.iterdir()] == ["model"]


def test_a_failed_export_leaves_everything_as_it_was(tmp_path, packed):
    _, body, head = built("albert")
    body.eval()
    before, names = body(packed), list(head.state_dict())
    target = tmp_path / "model"
    target.mkdir()
    (target / "earlier").write_text("kept")

    class Broken:
        def save_pretrained(self, directory):
            raise OSError("no space left on device")

    with pytest.raises(StorageError, match=r"model cannot be written \(no space left"):
        export(body, head, Broken(), target)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert (target / "earlier").read_text() == "kept"
    assert torch.equal(body(packed), before)
    assert list(head.state_dict()) == names


def test_an_export_is_a_source_whose_head_is_loaded(tmp_path):
    source, body, head = built()
    export(body, head, source.tokenizer, tmp_path / "model")
    again = ModelSource.pretrained(AutoOptions(name=str(tmp_path / "model")))
    other = again.body()
    loaded = head_of(again, other)
    assert loaded.new_parameters == ()
    expected = logits(source, body.eval(), head.eval())
    torch.testing.assert_close(logits(again, other.eval(), loaded.eval()), expected)


def test_a_tied_decoder_is_exported_with_the_bodys_weights(tmp_path, packed):
    source = tiny_source("bert")
    body = source.body().eval()
    words = source.head("MaskedLM", body).eval()
    with torch.no_grad():
        body.model.get_input_embeddings().weight.mul_(1.5)
    export(body, words, source.tokenizer, tmp_path / "words")
    again = ModelSource.pretrained(AutoOptions(name=str(tmp_path / "words")))
    other = again.body().eval()
    loaded = again.head("MaskedLM", other).eval()
    torch.testing.assert_close(loaded(other(packed)[None]), words(body(packed)[None]))
