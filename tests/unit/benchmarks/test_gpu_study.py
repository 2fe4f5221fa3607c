"""A study on a GPU host: what travels, what it reads, and what it returns to resume elsewhere."""

import json
import tarfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from benchmarks.evidence.chain import launcher
from benchmarks.gpu import study
from benchmarks.gpu.finished import Finished
from benchmarks.gpu.half import WEIGHTS, write_half
from benchmarks.gpu.pack import gather
from benchmarks.gpu.steps import GRACE
from support.command import write_task
from tartan.errors import ConfigError

SCORES = {"dev": {"f1": 0.5}, "test": {"f1": 0.4}, "best_step": 8, "seconds": 3.0}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    place = tmp_path / "model"
    place.mkdir()
    weights = {"weight": torch.randn(7, 5), "positions": torch.arange(4)}
    save_file(weights, place / WEIGHTS, metadata={"format": "pt"})
    (place / "config.json").write_text("{}")
    return place


def finish(run: Path) -> None:
    """Write what a finished run has, weights included."""
    (run / "checkpoints").mkdir(parents=True)
    (run / "checkpoints" / "model.safetensors").write_bytes(b"weights")
    (run / "summary.json").write_text(json.dumps(SCORES))
    (run / ".hydra").mkdir()
    (run / ".hydra" / "config.yaml").write_text("seed: 0")


def test_a_model_travels_in_float16(model: Path, tmp_path: Path):
    write_half(model, tmp_path / "half")
    whole, half = (load_file(place / WEIGHTS) for place in (model, tmp_path / "half"))
    assert half["weight"].dtype == torch.float16
    assert half["weight"].equal(whole["weight"].half())
    assert half["positions"].equal(whole["positions"])
    assert (tmp_path / "half" / "config.json").read_text() == "{}"


def test_weights_that_float16_cannot_hold_are_refused(model: Path, tmp_path: Path):
    save_file({"large": torch.tensor([1e5])}, model / WEIGHTS)
    with pytest.raises(ConfigError, match="large has weights that float16 cannot hold"):
        write_half(model, tmp_path / "half")
    with pytest.raises(ConfigError, match=r"has no model\.safetensors"):
        write_half(tmp_path, tmp_path / "half")


def test_a_study_finds_what_was_carried(model: Path, tmp_path: Path):
    task = write_task(tmp_path / "citation_intent")
    carried, work = tmp_path / "carried", tmp_path / "work"
    gather(model, [task], carried)
    finish(tmp_path / "before" / "study-b64" / "mt" / "seed0")
    with tarfile.open(carried / "runs.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "before", ".")
    for _ in range(2):  # the second is a study that resumes on the same host
        study.prepare(carried, work)
    assert load_file(work / "models" / "minilm-acl" / WEIGHTS)["weight"].dtype == torch.float16
    whole = (work / "data" / "citation_intent" / "train.jsonl").read_text()
    assert whole == (task / "train.jsonl").read_text()
    assert (work / "data" / "citation_intent-128" / "seed11" / "unlabelled.txt").exists()
    assert (work / "study-b64" / "mt" / "seed0" / "summary.json").exists()


def test_finished_runs_are_returned_at_once_and_without_weights(tmp_path: Path):
    work, out = tmp_path / "work", tmp_path / "out"
    out.mkdir()
    finished = Finished(work, out, {"jobs": 8})
    finished.look()
    assert not list(out.iterdir())
    finish(work / "select-b64" / "mt" / "body_lr=1")
    finish(work / "study-b64" / "mt" / "seed3")
    finished.look()
    finished.note("b64", "stopped", 1.0)
    written = json.loads((out / "study.json").read_text())
    assert written["jobs"] == 8
    assert written["regimes"] == {"b64": {"status": "stopped", "seconds": 1.0}}
    assert written["runs"] == [{"regime": "b64", "arm": "mt", "seed": 3, **SCORES}]
    with tarfile.open(out / "runs.tar.gz") as archive:
        names = archive.getnames()
    assert "study-b64/mt/seed3/.hydra/config.yaml" in names
    assert "select-b64/mt/body_lr=1/summary.json" in names
    assert not any("checkpoints" in name for name in names)
    assert sorted(file.name for file in out.iterdir()) == ["runs.tar.gz", "study.json"]


def test_several_runs_share_a_device_only_where_that_is_asked_for():
    assert launcher(1) == []
    assert launcher(8) == ["hydra/launcher=joblib", "hydra.launcher.n_jobs=8"]


def test_a_study_stops_its_runs_before_it_is_stopped():
    assert study.GRACE > 2 * GRACE
