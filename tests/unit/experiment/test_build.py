"""An experiment that is only looked at is built without its device."""

from pathlib import Path

from support.command import SMALL
from support.experiments import configured
from tartan.experiment.build import build, without_device
from tartan.plugins import discover

DEVICE = ["device=cuda", "precision=bf16", "cuda_graphs=true", "compile=true"]


def test_where_there_is_neither_a_gpu_nor_a_compiler(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CXX", "no-such-compiler")
    config = configured(*SMALL, "objectives=[mlm]", *DEVICE)
    experiment = build(without_device(config), discover())
    assert experiment.setup.runtime.device.type == "cpu"
