"""Nothing that data or a model brings along runs, and nothing is written where it should not be."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from support.checkpoints import edit_json
from support.command import SMALL, Answer, summary, write_task
from tartan.testing import save_tiny

Tartan = Callable[..., Answer]
MODEL = ["model=auto", "model.name=model", "run_dir=out", *SMALL[:6], *SMALL[9:]]


@pytest.fixture
def bomb(tmp_path: Path) -> Callable[[], bool]:
    """Whether code that came with data or a model ran; `tmp_path / bomb.py` holds the code."""
    (tmp_path / "bomb.py").write_text(
        f"import pathlib\npathlib.Path({str(tmp_path / 'ran')!r}).write_text('')\n"
        "from transformers import BertConfig as C, BertModel as M, BertTokenizerFast as T\n"
        "import datasets\nclass B(datasets.GeneratorBasedBuilder): pass\n"
    )
    return (tmp_path / "ran").exists


class Bomb:
    """What a pickle runs when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> object:
        return Path.touch, (self.path,)


def test_code_beside_a_model_does_not_run(tartan: Tartan, tmp_path: Path, bomb):
    model = save_tiny(tmp_path / "model")
    (tmp_path / "bomb.py").rename(model / "bomb.py")
    edit_json(model / "config.json", auto_map={"AutoConfig": "bomb.C", "AutoModel": "bomb.M"})
    edit_json(model / "tokenizer_config.json", auto_map={"AutoTokenizer": [None, "bomb.T"]})
    answer = tartan("run", *MODEL)
    assert answer.status == 0, answer.err
    assert list((tmp_path / "out/model").glob("*.py")) == []
    edit_json(model / "config.json", model_type="bomb")
    assert "custom code" in tartan("run", *MODEL, "run_dir=other").refusal()
    assert not bomb()


def test_code_beside_data_does_not_run(tartan: Tartan, tmp_path: Path, bomb):
    write_task(tmp_path / "pets")
    (tmp_path / "pets/dev.jsonl").rename(tmp_path / "pets/validation.jsonl")
    command = ["run", "data=hub", "data.name=./pets", "run_dir=out", *SMALL[:9]]
    code = (tmp_path / "bomb.py").read_text()
    (tmp_path / "pets/other.py").write_text(code)
    assert tartan(*command).status == 0, "a file that is no data"
    (tmp_path / "pets/pets.py").write_text(code)
    assert "Dataset scripts are no longer supported" in tartan(*command, "run_dir=other").refusal()
    assert not bomb()


def test_weights_that_are_code_are_refused(tartan: Tartan, tmp_path: Path):
    model = save_tiny(tmp_path / "model")
    (model / "model.safetensors").unlink()
    torch.save({"weight": Bomb(tmp_path / "ran")}, model / "pytorch_model.bin")
    assert "its weights cannot be loaded" in tartan("run", *MODEL).refusal()
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "out").exists()


def test_no_kernel_that_a_model_names_is_fetched(tartan: Tartan, tmp_path: Path):
    model = save_tiny(tmp_path / "model")
    edit_json(model / "config.json", attn_implementation="someone/kernel")
    answer = tartan("run", *MODEL)
    assert answer.status == 0, answer.err
    assert "kernel" not in (tmp_path / "out/model/config.json").read_text()


@pytest.mark.parametrize("name", ["../../escaped", "/tmp/escaped", "a/b"])
def test_a_template_cannot_name_a_file_elsewhere(tartan: Tartan, tmp_path: Path, name: str):
    model = save_tiny(tmp_path / "model")
    edit_json(model / "tokenizer_config.json", chat_template=[{"name": name, "template": "x"}])
    assert (
        f"a chat template named '{name}', which is not a file name"
        in tartan("run", *MODEL).refusal()
    )
    assert not (tmp_path / "out").exists()


def test_names_in_a_model_are_not_followed(tartan: Tartan, tmp_path: Path):
    """They are data, wherever they point; the model that comes out refers to nothing outside."""
    model = save_tiny(tmp_path / "model")
    (model / "model.safetensors").rename(tmp_path / "weights")
    (model / "model.safetensors").symlink_to(tmp_path / "weights")
    before = (tmp_path / "weights").read_bytes()
    away = {"name_or_path": "../../away", "_name_or_path": "../../away"}
    edit_json(model / "config.json", architectures=["../../away"], **away)
    edit_json(model / "tokenizer_config.json", vocab_file="../../away", **away)
    assert tartan("run", *MODEL).status == 0
    exported = list((tmp_path / "out/model").iterdir())
    assert {path.name for path in exported} == {
        "README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
    }  # fmt: skip
    assert not any(path.is_symlink() for path in exported)
    assert (tmp_path / "weights").read_bytes() == before


def test_a_link_in_place_of_the_exported_model_is_replaced_and_not_followed(
    tartan: Tartan, tmp_path: Path
):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious/config.json").write_text("mine")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/model").symlink_to(tmp_path / "precious")
    assert tartan("run", "run_dir=out", *SMALL).status == 0
    assert not (tmp_path / "out/model").is_symlink()
    assert (tmp_path / "precious/config.json").read_text() == "mine"
    assert len(list((tmp_path / "precious").iterdir())) == 1


@pytest.mark.parametrize("name", ["../escaped", "a.b", "keys", "training", "a b", "", "a/b"])
def test_an_objective_cannot_have_a_name_that_means_something_else(
    tartan: Tartan, tmp_path: Path, name: str
):
    (tmp_path / "conf/objectives").mkdir(parents=True)
    section = {"objectives": {name: {"plugin": "mlm", "batch_size": 2}}}
    (tmp_path / "conf/objectives/odd.yaml").write_text(
        f"# @package _global_\n{json.dumps(section)}\n"
    )
    answer = tartan("run", "--config-dir", str(tmp_path / "conf"), "objectives=[odd]", *SMALL)
    assert f"objectives.{name}: no objective can have this name" in answer.refusal()


ODD = ["two words, läuft", "a=b[x]", "$HOME", "-m", "100%#{", 'quo"te', "tab\tline\nbreak"]


@pytest.mark.parametrize("name", ODD)
def test_an_odd_name_is_taken_as_it_is(tartan: Tartan, tmp_path: Path, name: str):
    answer = tartan("run", f"run_dir='{name}'", "schedule=finetune", *SMALL, "steps=1")
    assert answer.status == 0, answer.err
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert summary(tmp_path / name)["steps"] == 1


def test_nothing_is_written_but_the_run_and_the_caches(tmp_path: Path):
    """Home, temporary files and working directory are all below one directory, and looked at."""
    places = {name: tmp_path / name for name in ("home", "tmp", "work")}
    for path in places.values():
        path.mkdir()
    write_task(places["work"] / "data", domain="other text\n")
    model = save_tiny(tmp_path / "model")
    before = {path: path.stat().st_mtime_ns for path in (model, *model.iterdir())}
    kept = {"PATH": os.environ["PATH"], "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "tartan", "run", "objectives=[tapt,dapt]", "weighting=meta",
         "data=jsonl", "data.dir=data", "model=auto", f"model.name={model}", "run_dir=out",
         *SMALL[:6]],
        cwd=places["work"], env=kept | {"HOME": str(places["home"]), "TMPDIR": str(places["tmp"])},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    files = [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()]
    allowed = (
        "work/out/", "work/data/", "model/",
        "home/.cache/huggingface/datasets/tartan/",
        "home/.cache/tartan/",  # what can be configured
        "home/.cache/matplotlib/", "home/.config/matplotlib/",  # the fonts that it found
    )  # fmt: skip
    assert [name for name in files if not name.startswith(allowed)] == []
    assert {path: path.stat().st_mtime_ns for path in (model, *model.iterdir())} == before
