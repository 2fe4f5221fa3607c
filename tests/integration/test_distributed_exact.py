"""The number of processes does not change the method: gradients, alignments, weights, scores."""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import chdir
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_module
from torch import Tensor
from torch.distributed.tensor import DTensor

from support.closeness import assert_same
from support.ranks import in_machines, in_ranks
from tartan.config.parse import parse
from tartan.config.schema import Config
from tartan.config.store import register
from tartan.distributed.group import Group
from tartan.distributed.ranks import Ranks
from tartan.distributed.sharded import ShardedShared
from tartan.experiment.build import build
from tartan.plugins import discover
from tartan.testing import save_tiny
from tartan.train.evaluate import evaluate
from tartan.train.model import JointModel
from tartan.train.stage import Stage

COMMON = [
    "accumulate=4", "batch_size=4", "precision=fp32", "device=cpu", "data.train=24", "data.dev=19",
    "data.test=16", "data.unlabelled=40", "primary=classification",
]  # fmt: skip
TINY = [
    "objectives=[mlm,rtd]", "model.hidden_size=16", "model.intermediate_size=32", "model.layers=2",
]  # fmt: skip
ADAPTERS = [
    "objectives=[mlm]", "weighting=meta", "model=auto", "model.name=saved", "model.max_length=32",
    "model.lora.r=2",
]  # fmt: skip
SHARDED = "sharded=true"
WEIGHTINGS = {
    name: [*TINY, *weighting]
    for name, weighting in {
        "static": ["weighting=static"],
        "meta": ["weighting=meta"],
        "gramian": ["weighting=pcgrad"],
        "both": ["weighting=ol_aux"],
        "learned": ["weighting=uncertainty"],
        "sampled": ["weighting=meta_factored", "weighting.sampled=1"],
    }.items()
}
BF16 = "precision=bf16"
"""No two passes, of one objective either, may share casts of weights gathered for each."""
ALONE = {
    **WEIGHTINGS,
    "adapters": ADAPTERS,
    "meta in bf16": [*WEIGHTINGS["meta"], BF16],
    "vat in bf16": [*WEIGHTINGS["meta"], "objectives=[vat]", "objectives.vat.scale=1000", BF16],
}
CASES = {
    **ALONE,
    "meta, moments divided": [*ALONE["meta"], "sharded_optimizer=true"],
    **{
        f"{name} sharded": [*ALONE[name], SHARDED]
        for name in ("static", "meta", "gramian", "adapters", "meta in bf16", "vat in bf16")
    },
}
MACHINES = " on two machines"
STEPS = 3


@cache
def configs() -> dict[str, Config]:
    """The configuration of each case: composed before processes are forked."""
    register(discover())
    with initialize_config_module("tartan.configs", version_base="1.3"):
        return {name: parse(compose("config", [*COMMON, *CASES[name]])) for name in CASES}


def complete(tensor: Tensor) -> Tensor:
    """All of a tensor, if it is divided."""
    return (tensor.full_tensor() if isinstance(tensor, DTensor) else tensor).clone()


def gradients(stage: Stage, model: JointModel) -> dict[str, Tensor]:
    """The complete gradients that the optimiser reads."""
    shared = stage.step._shared
    found = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    if isinstance(shared, ShardedShared):
        names = {p: name for name, p in model.named_parameters()}
        for p, part in zip(shared._divided, shared._locals, strict=True):
            assert isinstance(p, DTensor)
            divided = DTensor.from_local(
                part.grad, p.device_mesh, p.placements, shape=p.shape, stride=p.stride()
            )
            found[names[p]] = divided.full_tensor()
    return found


def taken(ranks: Ranks, config: Config) -> dict[str, Any]:
    """What a few steps measure and lead to, in every process."""
    plugins = discover()
    experiment = build(config, plugins, ranks)
    setup = experiment.setup
    stage = Stage(setup, experiment.stages["joint"])
    signals, metrics = stage.step.measure(0)
    grads, norms = gradients(stage, setup.model), stage._optimiser.norms()
    measured = {name: value for name, value in vars(signals).items() if name != "generator"}
    for step in range(STEPS):
        stage.take(step)
    scores, outputs = evaluate(setup.model, setup.dev, 4, setup.runtime, ranks=ranks)
    return {
        "grads": grads,
        "norms": norms,
        "signals": {name: value.float() for name, value in measured.items() if value is not None},
        "metrics": metrics,
        "weights": stage.weights(),
        "parameters": {n: complete(p.detach()) for n, p in setup.model.named_parameters()},
        "outputs": torch.stack([output.flatten() for output in outputs]),
        "scores": scores,
    }


def of(names: Iterable[str], ranks: Ranks) -> dict[str, dict[str, Any]]:
    """`taken` for some cases, in one group of processes."""
    found = {}
    for name in names:
        group = ranks
        if isinstance(ranks, Group):
            machines = 2 if name.endswith(MACHINES) else 1
            group = in_machines(ranks, machines)
        found[name] = taken(group, configs()[name.removesuffix(MACHINES)])
    return found


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict[str, Any]]]:
    """What one process computes."""
    directory = tmp_path_factory.mktemp("alone")
    with chdir(directory):
        save_tiny(directory / "saved", "bert", "MaskedLM")
        configs()
        (found,) = in_ranks(1, partial(of, ALONE), directory)
        assert isinstance(found, dict)
        yield found


def assert_equal(found: Any, expected: Any, where: str) -> None:
    """The same to 1e-5, through nested maps."""
    if isinstance(expected, Mapping):
        assert found.keys() == expected.keys(), where
        for key, value in expected.items():
            assert_equal(found[key], value, f"{where}.{key}")
    elif isinstance(expected, Tensor):
        try:
            assert_same(found, expected)
        except AssertionError as error:
            raise AssertionError(f"{where}: {error}") from error
    else:
        assert found == pytest.approx(expected, abs=1e-5), where


@pytest.mark.parametrize(
    ("size", "names"),
    [
        (2, tuple(CASES)),
        (4, ("meta", "gramian sharded", f"meta sharded{MACHINES}")),
        pytest.param(
            4,
            (*CASES, *(f"{name}{MACHINES}" for name in CASES if name.endswith("sharded"))),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_processes_compute_what_one_does(
    alone: dict[str, dict[str, Any]], tmp_path: Path, size: int, names: tuple[str, ...]
):
    first, *others = in_ranks(size, partial(of, names), tmp_path)
    same = {
        name: re.sub(r" sharded| on two machines|, moments divided", "", name) for name in names
    }
    expected = {name: alone[same[name]] for name in names}
    assert_equal(first, expected, f"{size} processes")
    for other in others:  # to the bit: nothing keeps them together but this
        torch.testing.assert_close(other, first, rtol=0, atol=0)
