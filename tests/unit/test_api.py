"""tartan.run: the command's runs from Python, in a process that stays as it was."""

import json
import logging
import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra.core.config_store import ConfigStore
from hydra.core.singleton import Singleton
from omegaconf.basecontainer import BaseContainer
from transformers import pipeline
from transformers.utils import logging as transformers_logging

import tartan
from support.command import records, small_options, summary
from support.process import answered
from support.ranks import in_ranks
from tartan.config.compose_run import compose_run
from tartan.config.values import overrides_of
from tartan.distributed.ranks import Ranks

pytestmark = pytest.mark.heavy


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tartan.Run:
    """A run of the demo with two objectives."""
    directory = tmp_path_factory.mktemp("api") / "out"
    return tartan.run(
        "objectives=[mlm]", weighting="meta", run_dir=directory, verbose=False, **small_options()
    )


def state() -> dict[str, Any]:
    """Settings of a process that a run could change."""
    store = Singleton._instances.get(ConfigStore)
    return {
        "torch": torch.get_rng_state().tolist(),
        "numpy": str(np.random.get_state()),
        "python": random.getstate(),
        "threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "matmul": torch.backends.cuda.matmul.fp32_precision,
        "gradients": torch.is_grad_enabled(),
        "running": [thread.name for thread in threading.enumerate()],
        "signals": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "logging": (logging.root.level, list(logging.root.handlers), logging.root.manager.disable),
        "transformers": transformers_logging.get_verbosity(),
        "streams": (sys.stdout, sys.stderr),
        "place": Path.cwd(),
        "path": list(sys.path),
        "argv": list(sys.argv),
        "environment": dict(os.environ),
        "hydra": {cls: id(one) for cls, one in Singleton._instances.items()},
        "store": store and json.dumps(store.repo, default=id),
        "resolvers": dict(BaseContainer._resolvers),
    }


def test_a_run_returns_scores_history_model_tokenizer_and_paths(finished: tartan.Run):
    assert finished.scores == {s: summary(finished.directory)[s] for s in ("dev", "test")}
    assert finished.history == records(finished.directory)
    assert finished.paths["model"] == finished.directory / "model"
    assert finished.summary["weighting"] == "meta"
    reads = pipeline("text-classification", model=finished.model, tokenizer=finished.tokenizer)
    assert reads("bamo")[0]["label"] in finished.summary["task"]["labels"]
    assert repr(finished).startswith(f"Run('{finished.directory}': dev macro_f1 0.")


def test_a_run_is_found_after_the_working_directory_changed(
    finished: tartan.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(finished.directory.parent)
    found = tartan.Run(Path(finished.directory.name))
    monkeypatch.chdir(tmp_path)
    assert found.history == finished.history
    assert found.predict(["red"]) == finished.predict(["red"])


def test_a_run_is_that_of_the_command_line(finished: tartan.Run, tmp_path: Path):
    typed = [f"{name}={json.dumps(value)}" for name, value in small_options().items()]
    command = ["objectives=[mlm]", "weighting=meta", f"run_dir={tmp_path / 'out'}", *typed]
    answer = answered(["run", *command], tmp_path / "said")
    assert answer.status == 0, answer.err
    assert records(tmp_path / "out") == finished.history
    parts = [summary(run)["identity"]["parts"] for run in (tmp_path / "out", finished.directory)]
    assert parts[0] == parts[1]
    resumed = tartan.run(*command, verbose=False)
    assert resumed.scores == finished.scores


def test_two_runs_in_one_process_leave_it_as_it_was(finished: tartan.Run, tmp_path: Path):
    before = state()
    again = tartan.run(
        "objectives=[mlm]", weighting="meta", run_dir=tmp_path / "out", verbose=False,
        **small_options(),
    )  # fmt: skip
    after = state()
    assert {name for name in before if before[name] != after[name]} == set()
    assert again.history == finished.history


def test_a_refused_run_is_an_exception_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    before = state()
    with pytest.raises(tartan.ConfigError, match=r"^seeed: no such option; did you mean 'seed'"):
        tartan.run(seeed=3)
    with pytest.raises(tartan.DataError, match=r"^/nowhere: no such directory"):
        tartan.run("data=jsonl", run_dir="deep/er", **{"data.dir": "/nowhere"})
    with pytest.raises(tartan.ConfigError, match=r"^data.dir is of type object: give a text"):
        tartan.run(**{"data.dir": object()})
    with pytest.raises(tartan.ConfigError, match="several runs"):
        tartan.run("seed=1,2")
    with pytest.raises(tartan.CheckpointError, match="has no finished run"):
        tartan.Run(tmp_path)
    assert list(tmp_path.iterdir()) == []
    after = state()
    assert {name for name in before if before[name] != after[name]} == set()


def test_every_process_of_a_launcher_returns_the_run_that_rank_0_wrote(tmp_path: Path):
    """Each one's default run_dir differs if a second passes between them."""

    def work(ranks: Ranks) -> str:
        options = small_options(accumulate=2, steps=2, run_dir=tmp_path / str(ranks.rank))
        return str(tartan.run(verbose=False, **options).directory)

    assert in_ranks(2, work, tmp_path / "said") == [str(tmp_path / "0")] * 2


def test_the_run_directory_may_be_given_to_hydra():
    assert compose_run(["hydra.run.dir=x/${run_dir}", "run_dir=y"]).directory == Path("x/y")
    composed = compose_run([])
    assert composed.directory == Path(composed.config.run_dir)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("meta", "x='meta'"), ("it's", "x='it\\'s'"), ("2025_01_02", "x='2025_01_02'"),
        (None, "x=null"), (True, "x=true"), (3, "x=3"), (np.int64(3), "x=3"), (1e-5, "x=1e-05"),
        (Path("a b"), "x='a b'"), (["mlm", "rtd"], "x=['mlm','rtd']"), ({"mlm": 2}, "x={mlm:2}"),
    ],
)  # fmt: skip
def test_python_values_are_overrides(value: Any, text: str):
    assert overrides_of({"x": value}) == [text]


PROGRAM = """
import hydra, sys
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

store = ConfigStore.instance()
store.store(name="config", node={"run_dir": "mine", "model": {"kind": "theirs"}})
store.store(group="weighting", name="static", node={"plugin": "theirs"})
OmegaConf.register_new_resolver("twice", lambda text: text * 2)

@hydra.main(version_base=None, config_name="config")
def main(config):
    import tartan
    from support.command import small_options
    found = tartan.run(run_dir=sys.path[0] + "/out", verbose=False, **small_options())
    assert found.summary["weighting"] == "static", found.summary["weighting"]
    assert HydraConfig.get().job.config_name == "config"
    assert store.repo["weighting"]["static.yaml"].node.plugin == "theirs"
    assert "primary" not in store.repo
    assert OmegaConf.create({"a": "${twice:ab}"}).a == "abab"
    print(hydra.core.global_hydra.GlobalHydra.instance().is_initialized(), config.model.kind)

main()
"""


def test_a_program_that_uses_hydra_can_call_it(tmp_path: Path):
    (tmp_path / "program.py").write_text(PROGRAM)
    tests = str(Path(__file__).parents[1])
    process = subprocess.run(
        [sys.executable, "program.py"], cwd=tmp_path, check=False, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": tests},
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    assert process.stdout == "True theirs\n"
    assert (tmp_path / "out/summary.json").is_file()


def test_importing_the_package_imports_neither_torch_nor_hydra():
    code = "import sys, tartan; print(sorted({'torch', 'hydra', 'datasets'} & set(sys.modules)))"
    process = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True
    )
    assert process.stdout == "[]\n"
