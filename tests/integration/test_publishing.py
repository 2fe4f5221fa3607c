"""A finished run's model beyond its directory: the card, ONNX, the hub."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from huggingface_hub import ModelCard

import tartan as library
from support import hub
from support.command import SMALL, Answer, summary
from support.pages import HOSTILE
from tartan.cli import main
from tartan.experiment.origin import licence_of, shareable
from tartan.report.card import Origin, model_card

Tartan = Callable[..., Answer]
COMMAND = ["objectives=[mlm]", "weighting=meta", *SMALL]
PROGRAM = """
import json, os, sys
from tartan.cli import main
for token, run in json.loads(sys.argv[1]):
    os.environ["HF_TOKEN"] = token
    print(main(["run", *run]), file=sys.stderr)
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose model is exported to ONNX."""
    directory = tmp_path_factory.mktemp("publishing") / "out"
    assert main(["run", *COMMAND, f"run_dir={directory}", "export=onnx"]) == 0
    return directory


def test_the_card_has_the_metadata_of_the_hub(run: Path):
    card = ModelCard.load(run / "model/README.md")
    assert card.data.pipeline_tag == "text-classification"
    assert card.data.to_dict()["library_name"] == "transformers"
    assert card.data.base_model is None
    found = {(each.dataset_split, each.metric_type): each.metric_value
             for each in card.data.eval_results or []}  # fmt: skip
    scores = summary(run)
    assert found == {
        (split, name): pytest.approx(value, abs=1e-6)
        for split in ("dev", "test")
        for name, value in scores[split].items()
    }
    assert "`python -m tartan run 'objectives=[mlm]' weighting=meta steps=6" in card.text
    assert "run_dir=" not in card.text
    versions = ", ".join(f"{name} {value}" for name, value in scores["versions"].items())
    assert f"Versions: {versions}; cpu, fp32.\n" in card.text.replace("\\", "")
    assert "weights were initialised at random" in card.text


def test_the_card_names_the_base_model_and_its_licence(run: Path, tmp_path: Path):
    (tmp_path / "README.md").write_text("---\nlicense: apache-2.0\n---\nA model.\n")
    assert licence_of(str(tmp_path), on_hub=False, revision=None) == "apache-2.0"
    assert licence_of(str(tmp_path / "none"), on_hub=False, revision=None) is None
    assert licence_of("someone/nothing", on_hub=True, revision=None) is None
    origin = Origin("some/base", True, "apache-2.0", "some/data", ["seed=1"], 128)
    (tmp_path / "card.md").write_text(model_card(summary(run), origin))
    card = ModelCard.load(tmp_path / "card.md")
    assert (card.data.base_model, card.data.license) == ("some/base", "apache-2.0")
    assert card.data.datasets == ["some/data"]
    assert "under the licence `apache-2.0`" in card.text
    local = model_card(summary(run), Origin("/a/base", False, None, None, [], 128))
    assert "base_model" not in local.partition("\n---\n")[0]
    assert "Its licence is not known here" in local


def test_hostile_names_stay_texts_in_a_card(run: Path, tmp_path: Path):
    content = summary(run)
    content["task"] |= {"name": "a: b\n---\n# x", "labels": list(HOSTILE)}
    (tmp_path / "card.md").write_text(
        model_card(content, Origin(None, False, None, None, list(HOSTILE), 128))
    )
    card = ModelCard.load(tmp_path / "card.md")
    assert card.data.model_name == "classification on a: b\n---\n# x"
    assert "<script>" not in card.text.replace("`", "").partition("## Training")[0]


def test_overrides_of_places_are_left_out_of_the_command():
    typed = [
        "seed=1",
        "run_dir=/home/me",
        "hydra/launcher=joblib",
        "push_to_hub=true",
        "data.dir=x",
    ]
    assert shareable(typed) == ["seed=1", "data.dir=x"]


def test_onnx_has_the_same_logits_for_any_number_of_rows_and_tokens(run: Path):
    found = library.Run(run)
    session = onnxruntime.InferenceSession(run / "model/onnx/model.onnx")
    texts = [each.strip() for each in ("bamo " * 100, "gudi fipe", "zoru", "fipe " * 7)]
    for chosen in (texts, texts[1:3], texts[2:3]):
        batch = found.tokenizer(chosen, padding=True, truncation=True, return_tensors="pt")
        assert {each.name for each in session.get_inputs()} <= set(batch)
        (logits,) = session.run(["logits"], {k: v.numpy() for k, v in batch.items()})
        with torch.no_grad():
            expected = found.model(**batch).logits.numpy()
        np.testing.assert_allclose(logits, expected, atol=1e-5)


def test_what_cannot_be_published_is_refused_before_the_run(tartan: Tartan, tmp_path: Path):
    refused = {
        "export=onx": "export=onx: did you mean 'onnx'?",
        "push_to_hub=true": "push_to_hub=true needs a name: set hub_model_id=OWNER/NAME, or NAME "
        "in your account",
    }
    for option, line in refused.items():
        answer = tartan("run", *SMALL, option, "run_dir=out")
        assert (answer.status, answer.err) == (2, f"tartan: {line}\n")
    answer = tartan("run", *SMALL, "push_to_hub=true", "hub_model_id=a/b/c", "run_dir=out")
    assert answer.err.startswith("tartan: hub_model_id=a/b/c is not the name of a model")
    answer = tartan("run", *SMALL, "push_to_hub=true", "hub_model_id=a/b", "run_dir=out")
    assert answer.err == (
        "tartan: push_to_hub=true, but HF_HUB_OFFLINE forbids the network: unset it\n"
    )
    assert list(tmp_path.iterdir()) == []


def pushed(run: Path, address: str, *tries: tuple[str, list[str]]) -> Answer:
    """Give the run's command again in a process that reaches the stand-in, each with a token."""
    environment = {
        **os.environ, "HF_ENDPOINT": address, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1",
        "HF_HOME": str(run.parent / "home"),
    }  # fmt: skip
    same = [*COMMAND, f"run_dir={run}", "push_to_hub=true", "hub_model_id=colours"]
    commands = json.dumps([(token, [*same, *more]) for token, more in tries])
    process = subprocess.run(
        [sys.executable, "-c", PROGRAM, commands],
        check=False, capture_output=True, text=True, env=environment,
    )  # fmt: skip
    return Answer(process.returncode, process.stdout, process.stderr)


def test_a_run_of_a_study_is_uploaded_by_the_command_that_a_study_names(tmp_path: Path):
    """`hf upload OWNER/NAME STUDY/ARM/seedK/model`, with files in place of a trained model."""
    model = tmp_path / "study/mt/seed0/model"
    model.mkdir(parents=True)
    (model / "README.md").write_text("A model.\n")
    (model / "config.json").write_text("{}\n")
    with hub.running() as server:
        environment = {
            **os.environ, "HF_ENDPOINT": server.address, "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_XET": "1", "HF_HOME": str(tmp_path / "home"), "HF_TOKEN": hub.TOKEN,
        }  # fmt: skip
        program = Path(sys.executable).with_name("hf")
        command = [program, "upload", "someone/colours", "study/mt/seed0/model"]
        process = subprocess.run(
            command, check=False, capture_output=True, text=True, env=environment, cwd=tmp_path
        )
    assert process.returncode == 0, process.stderr
    found = server.files["someone/colours"]
    assert found["README.md"] == b"A model.\n"
    assert found["config.json"] == b"{}\n"


def test_a_model_is_uploaded_when_the_run_is_complete(run: Path):
    """With a token that the hub knows; what it refuses can be tried again."""
    private = ["hub_private_repo=true"]
    with hub.running() as server:
        server.refuse.append(403)
        answer = pushed(
            run, server.address, ("", []), ("hf_wrong", []), (hub.TOKEN, private),
            (hub.TOKEN, private),
        )  # fmt: skip
    assert answer.status == 0, answer.err
    missing, one, wrong, two, refused, three, *rest = answer.err.splitlines()
    assert missing == (
        "tartan: push_to_hub=true needs a token: log in with `hf auth login`, or set HF_TOKEN"
    )
    assert "does not answer, or refuses the token" in wrong
    assert refused.startswith(f"tartan: colours cannot be written on {server.address} (")
    assert refused.endswith("the run is complete; give the same command to try again")
    assert (one, two, three, rest) == ("2", "2", "2", ["0"])
    assert answer.out.splitlines()[-1] == f"uploaded: {server.address}/someone/colours"
    assert server.private == {"someone/colours": True}
    assert server.commits == ["Model trained by tartan"]
    local = {
        path.relative_to(run / "model").as_posix(): path.read_bytes()
        for path in (run / "model").rglob("*")
        if path.is_file()
    }
    assert server.files["someone/colours"].keys() - {".gitattributes"} == local.keys()
    assert {"README.md", "model.safetensors", "onnx/model.onnx"} <= local.keys()
    for name, content in local.items():
        assert server.files["someone/colours"][name] == content, name
