"""An experiment that is only looked at is built without its device."""

from pathlib import Path

from hydra import compose, initialize_config_module

from support.command import SMALL
from tartan.config.overrides import accept
from tartan.config.parse import parse
from tartan.config.store import register
from tartan.experiment.build import build, without_device
from tartan.plugins import discover

DEVICE = ["device=cuda", "precision=bf16", "cuda_graphs=true", "compile=true"]


def test_where_there_is_neither_a_gpu_nor_a_compiler(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CXX", "no-such-compiler")
    register(discover())
    accepted = accept([*SMALL, "objectives=[mlm]", *DEVICE])
    with initialize_config_module("tartan.configs", version_base="1.3"):
        config = parse(compose("config", accepted))
    experiment = build(without_device(config), discover())
    assert experiment.setup.runtime.device.type == "cpu"
