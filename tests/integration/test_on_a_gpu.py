"""Training on a CUDA device. `benchmarks.gpu.host` runs these tests on a GPU host, and its
rehearsal on the fake device; without a device they are skipped."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity
from torch.testing import assert_close

from support import device_steps
from tartan.testing.fake_cuda.stand_ins import is_fake
from tartan.train.finite import HostFlag, NonFiniteError
from tartan.train.stage import Stage

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

BOTH = ("objectives=[mlm]",)
WEIGHTINGS = ("weighting=static", "weighting=meta")


def stage(*overrides: str) -> Stage:
    experiment = device_steps.made(*BOTH, *overrides)
    return Stage(experiment.setup, next(iter(experiment.stages.values())))


def parameters(of: Stage) -> list[Tensor]:
    return [p.detach().clone() for p in of._setup.model.parameters()]


@contextmanager
def no_wait() -> Iterator[None]:
    """Make an error of everything that waits for the device, except events."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("graphs", ["true", "false"])
@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_steps_do_not_wait_for_the_device(weighting: str, graphs: str):
    made = stage(weighting, f"cuda_graphs={graphs}", "precision=bf16")
    for step in range(6):  # graphs are recorded in them
        made.take(step)
    with no_wait():
        for step in range(6, 10):
            made.take(step)


def test_a_step_that_is_not_finite_is_reported_one_step_later_and_changes_nothing():
    made = stage("weighting=static")
    made.take(0)
    with torch.no_grad():
        next(made._setup.model.body.parameters()).fill_(torch.nan)
    before = parameters(made)
    made.take(1)
    with pytest.raises(NonFiniteError, match="step 1"):
        made.take(2)
    for one, other in zip(before, parameters(made), strict=True):
        assert_close(one, other, rtol=0, atol=0, equal_nan=True)


def test_a_flag_arrives_in_pinned_memory_with_the_value_that_was_queued():
    work = torch.randn(2048, 2048, device="cuda")
    for _ in range(20):
        work = work @ work / work.norm()
    flags = [HostFlag(work.isfinite().all() == expected) for expected in (True, False)]
    assert all(flag._flag.is_pinned() for flag in flags)
    assert [bool(flag) for flag in flags] == [True, False]


def test_pinned_copies_are_not_overwritten_while_they_travel():
    """The thread that makes batches reuses memory: each step still sees its own batch."""
    sent = []
    for value in range(50):
        host = torch.full((1 << 20,), value, dtype=torch.int64).pin_memory()
        sent.append(host.to("cuda", non_blocking=True))
        del host
    sums = torch.stack([each.double().mean() for each in sent]).tolist()
    assert all(later - earlier == 1 for earlier, later in pairwise(sums))


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_a_run_that_resumes_on_the_device_takes_the_same_steps(weighting: str):
    """Up to the order of atomic sums, which float32 rounds."""
    whole, first = stage(weighting, "precision=fp32"), stage(weighting, "precision=fp32")
    for step in range(4):
        whole.take(step)
    for step in range(2):
        first.take(step)
    resumed = stage(weighting, "precision=fp32")
    resumed._setup.model.load_state_dict(first._setup.model.state_dict())
    resumed.load_state_dict(first.state_dict())
    for step in (2, 3):
        resumed.take(step)
    for one, other in zip(parameters(whole), parameters(resumed), strict=True):
        assert_close(one, other, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_half_precision_has_the_direction_of_float32(precision: str, weighting: str):
    exact, rounded = (
        device_steps.gradient_in("cuda", each, *BOTH, weighting)[0] for each in ("fp32", precision)
    )
    assert cosine_similarity(exact, rounded, dim=0) > 0.999


def test_fp16_halves_its_factor_at_an_overflow_and_takes_the_step_again():
    made = stage("weighting=meta", "precision=fp16")
    assert made.step.fp16_scale is not None
    made.step.fp16_scale.factor = 2.0**40
    made.take(0)
    assert made.step.fp16_scale.factor < 2.0**40
    assert all(each.isfinite().all() for each in parameters(made))


@pytest.mark.skipif(is_fake(), reason="compiles for a real device only")
def test_compiled_layers_have_the_same_gradient():
    given = ("weighting=static", "model.hidden_size=64", "model.layers=2", "model.heads=2")
    plain, compiled = (
        device_steps.gradient_in("cuda", "bf16", *BOTH, *given, f"compile={on}")[0]
        for on in ("false", "true")
    )
    assert cosine_similarity(plain, compiled, dim=0) > 0.999


def measured(of: Stage) -> Tensor:
    """The gradient of the first step, with dropout."""
    setup = of._setup
    for parameter in setup.model.parameters():
        parameter.grad = None
    with setup.runtime.same_weights(setup.model.body):
        of.step.measure(0)
    return torch.cat([p.grad.flatten() for p in setup.model.body.parameters()])


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_graphs_have_the_gradient_of_single_launches(weighting: str):
    """Dropout included: it draws the same numbers."""
    made = stage(weighting, "model.layers=3", "precision=bf16", "cuda_graphs=true")
    first, *later = (measured(made) for _ in range(5))
    graphs = made._setup.model.body._bf16._graphs
    assert graphs.refused is None
    assert graphs.recorded > 1  # the first one is that of the verification
    for each in later:
        assert cosine_similarity(first, each, dim=0) > 0.9999
        assert (each.norm() / first.norm()).item() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_graphs_train_as_single_launches_do(weighting: str):
    """Without dropout: rows have other spare tokens, so that dropout draws other numbers."""
    trained = []
    for graphs in ("true", "false"):
        given = ("model.layers=3", "model.dropout=0", "precision=bf16", f"cuda_graphs={graphs}")
        made = stage(weighting, *given)
        for step in range(12):
            made.take(step)
        made.step.guard.wait()
        layers = made._setup.model.body._bf16._graphs
        assert (layers is not None and layers.repeated > 10) == (graphs == "true")
        trained.append(torch.cat([each.flatten() for each in parameters(made)]))
    assert_close(*trained, rtol=0.05, atol=2e-3)
