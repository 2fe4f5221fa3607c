"""The estimate of activations against counted allocations."""

from dataclasses import replace
from itertools import accumulate
from types import SimpleNamespace

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from support.experiments import built
from tartan.masking import logits_chunk
from tartan.train.activations import Activations, Reading, step_activations
from tartan.train.stage import Stage
from tartan.weighting import Needs

FACTOR = 1.6
"""How far the estimate may be from what a step allocates, either way."""
SIZES = [
    "steps=6", "batch_size=24", "device=cpu", "report=false", "model.hidden_size=64",
    "model.intermediate_size=128", "model.layers=4", "data.train=64", "data.dev=64",
    "data.test=16", "data.unlabelled=100", "data.min_words=30", "data.max_words=60",
]  # fmt: skip


def stage(*overrides: str) -> Stage:
    experiment = built(*SIZES, *overrides)
    return Stage(experiment.setup, replace(experiment.stages["joint"], steps=20))


def peak(made: Stage, step: int) -> int:
    """The most bytes that measuring a step holds at once beyond those before it."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        made.step.measure(step)
    events = [e for e in profiled.profiler.kineto_results.events() if e.name() == "[memory]"]
    return max(accumulate(e.nbytes() for e in sorted(events, key=lambda event: event.start_ns())))


@pytest.mark.parametrize(
    "overrides",
    [
        pytest.param(["weighting=static", "objectives=[mlm]"], id="static"),
        pytest.param(["weighting=meta", "objectives=[mlm,rdrop]"], id="meta"),
        pytest.param(["weighting=static", "objectives=[]", "precision=bf16"], id="bf16"),
        pytest.param(
            ["weighting=static", "objectives=[mlm]", "model.gradient_checkpointing=true"],
            id="checkpointed",
        ),
        pytest.param(
            ["weighting=static", "objectives=[mlm]", "model.max_tokens_per_pass=500"], id="limit"
        ),
    ],
)
def test_the_estimate_is_near_what_a_step_allocates(overrides: list[str]):
    precision = [] if "precision=bf16" in overrides else ["precision=fp32"]
    made = stage(*overrides, *precision)
    cost = made.cost
    body = sum(p.nbytes for p in made._setup.model.shared())
    heads = sum(p.nbytes for p in made._setup.model.heads(made.names))
    made.step.measure(0)  # what is made once
    for parameter in made._setup.model.parameters():
        parameter.grad = None
    counted = peak(made, 1) - cost.copies * body - heads
    assert counted / FACTOR < cost.activations < counted * FACTOR


def test_parts_hold_the_longest_sequence_or_as_many_as_they_may():
    free = Activations(100.0, 10.0, 1.0)
    assert free.of([3, 4]) == 100 + 70 + 25
    assert Activations(0.0, 10.0, 0.0, most=5).of([3, 3, 3]) == 50
    assert Activations(0.0, 10.0, 0.0, most=1).of([3, 6]) == 60
    assert free.of([]) == 0


def test_a_shared_backward_pass_holds_all_objectives_and_others_the_largest():
    made = stage("weighting=static", "objectives=[rdrop]", "precision=fp32")
    model, each = made._setup.model, Activations(0.0, 1.0, 0.0)
    readings = [Reading(model.objective(name), [5, 5]) for name in model.names]
    assert [model.objective(n).passes.forward for n in model.names] == [1, 2]

    def found(*needs: Needs, reads_packed: bool = True) -> int:
        return step_activations(needs, readings, [7], each, reads_packed=reads_packed)

    assert found(Needs.LOSSES) == 30
    assert found(Needs.LOSSES, reads_packed=False) == 20
    assert found(Needs.LOSSES | Needs.DEV) == 20
    assert found(Needs.LOSSES | Needs.DEV, Needs.LOSSES) == 30


def test_logits_are_computed_for_more_tokens_at_a_time_on_large_cards(monkeypatch):
    found = {}
    for memory in (8, 16, 24, 40, 80, 141):
        logits_chunk.cache_clear()
        monkeypatch.setattr(
            torch.cuda,
            "get_device_properties",
            lambda _, memory=memory: SimpleNamespace(total_memory=memory * 10**9),
        )
        found[memory] = logits_chunk(torch.device("cuda"))
    logits_chunk.cache_clear()
    assert found == {8: 1024, 16: 2048, 24: 2048, 40: 4096, 80: 8192, 141: 8192}
    assert logits_chunk(torch.device("cpu")) == 1024
