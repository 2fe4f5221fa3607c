"""LoRA from the command line: META on adapters, exact resume, small checkpoints, both exports."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from support.command import summary, write_task
from support.runs import cut, differences
from tartan.body import adapters
from tartan.quiet import quiet
from tartan.testing import save_tiny

COMMON = [
    "data=jsonl", "data.dir=task", "model=auto", "model.name=saved", "model.max_length=32",
    "model.lora.r=4", "weighting=meta", "steps=8", "batch_size=4", "eval.every=2", "device=cpu",
    "precision=fp32", "report=false", "checkpoint.every=2", "checkpoint.keep=100",
]  # fmt: skip
FAMILIES = {"bert": ("MaskedLM", "mlm"), "qwen3": ("CausalLM", "clm")}


@pytest.fixture
def prepared(request, tmp_path):
    family = request.param
    kind, objective = FAMILIES[family]
    torch.manual_seed(0)
    save_tiny(tmp_path / "saved", family, kind)
    write_task(tmp_path / "task")
    return [*COMMON, f"objectives=[{objective}]"]


@pytest.mark.parametrize("prepared", FAMILIES, indirect=True)
def test_adapters_train_resume_exactly_and_are_all_that_is_saved(prepared, tartan, tmp_path):
    answer = tartan("run", "run_dir=whole", *prepared)
    assert answer.status == 0, answer.err
    assert "Trains " in answer.out
    weights = load_file(tmp_path / "whole/checkpoints/best/model.safetensors")
    body = [name for name in weights if name.startswith("body.")]
    assert body
    assert all("lora_" in name for name in body)
    cut(tmp_path / "whole", "cut", "checkpoint-4")
    assert ", 4 taken" in tartan("run", "run_dir=cut", *prepared).out
    assert differences(tmp_path / "whole", tmp_path / "cut") == []


@pytest.mark.parametrize("prepared", ["qwen3"], indirect=True)
def test_the_adapter_directory_gives_the_same_predictions(prepared, tartan, tmp_path, monkeypatch):
    assert tartan("run", "run_dir=merged", *prepared).status == 0
    answer = tartan("run", "run_dir=adapter", *prepared, "model.lora.export=adapter")
    assert answer.status == 0, answer.err
    assert summary(tmp_path / "merged")["dev"] == summary(tmp_path / "adapter")["dev"]
    assert not list((tmp_path / "adapter/model").glob("model*"))
    texts = [json.loads(line)["text"] for line in (tmp_path / "task/dev.jsonl").open()]
    found = []
    for name in ("merged", "adapter"):
        directory = tmp_path / name / "model"
        tokenizer = AutoTokenizer.from_pretrained(directory)
        options = {} if name == "merged" else {"num_labels": 2, "pad_token_id": 1}
        with quiet(), torch.no_grad():
            model = AutoModelForSequenceClassification.from_pretrained(directory, **options).eval()
            found.append(model(**tokenizer(texts, padding=True, return_tensors="pt")).logits)
    torch.testing.assert_close(*found, atol=1e-5, rtol=1e-5)
    written = []
    for name in ("merged", "adapter"):
        assert tartan("predict", name, "task/dev.jsonl", f"{name}.jsonl").status == 0
        rows = [json.loads(line) for line in (tmp_path / f"{name}.jsonl").open()]
        written.append([(row["predicted"], pytest.approx(row["probability"])) for row in rows])
    assert written[0] == written[1]
    answer = tartan("evaluate", "adapter", "task/dev.jsonl", "resamples=20")
    assert answer.status == 0, answer.err
    evaluated = json.loads((tmp_path / "adapter/evaluations/dev/evaluation.json").read_text())
    scores = {name: value["value"] for name, value in evaluated["metrics"].items()}
    assert scores == pytest.approx(summary(tmp_path / "adapter")["dev"])

    def refused() -> str:
        answer = tartan("predict", "adapter", "task/dev.jsonl", "more.jsonl")
        assert (answer.status, answer.err.count("\n")) == (2, 1)
        return answer.err

    (tmp_path / "saved").rename(tmp_path / "moved")
    assert "adapter/model cannot be read as a model: " in refused()
    monkeypatch.setattr(adapters, "find_spec", lambda _: None)
    assert refused() == (
        "tartan: adapter/model holds an adapter, which needs the package peft: "
        "pip install 'tartan[peft]'\n"
    )
    shutil.rmtree(tmp_path / "adapter/model/config")
    assert "holds an adapter without the configuration of its model, config/: " in refused()


@pytest.mark.slow
@pytest.mark.parametrize("prepared", ["bert"], indirect=True)
def test_an_adapter_exports_to_onnx(prepared, tartan, tmp_path):
    options = ["steps=2", "model.lora.export=adapter", "export=onnx"]
    answer = tartan("run", "run_dir=out", *prepared, *options)
    assert answer.status == 0, answer.err
    assert (tmp_path / "out/model/adapter_config.json").is_file()
    assert (tmp_path / "out/model/onnx/model.onnx").is_file()


@pytest.mark.parametrize("prepared", ["bert", "qwen3"], indirect=True)
def test_frozen_weights_in_bf16_train_and_export_what_was_scored(prepared, tartan, tmp_path):
    bf16 = ["model.lora.base=bf16", "precision=bf16", "steps=2"]
    answer = tartan("run", "run_dir=out", *prepared, *bf16)
    assert answer.status == 0, answer.err
    lines = [json.loads(line) for line in (tmp_path / "out/predictions-dev.jsonl").open()]
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out/model")
    with quiet(), torch.no_grad():
        model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out/model").eval()
        for line in lines[:4]:
            logits = model(**tokenizer(line["text"], return_tensors="pt")).logits[0]
            found = logits.softmax(0)[model.config.label2id[line["predicted"]]]
            assert float(found) == pytest.approx(line["probability"], abs=1e-5)
    answer = tartan("run", "run_dir=no", *prepared, "model.lora.base=bf16")
    assert (answer.status, answer.err.count("\n")) == (2, 1)
    assert "model.lora.base=bf16 needs precision=bf16, and this run computes in fp32" in answer.err


@pytest.mark.parametrize("prepared", ["bert"], indirect=True)
def test_adapters_and_frozen_layers_go_together(prepared, tartan):
    answer = tartan("run", "run_dir=out", *prepared, "steps=2", "model.freeze=[layers.0]")
    assert answer.status == 0, answer.err
    answer = tartan("run", "run_dir=no", *prepared, "model.freeze=[layers.7]")
    assert answer.status == 2
    assert answer.err.count("\n") == 1
    assert "bert has no part 'layers.7'" in answer.err
