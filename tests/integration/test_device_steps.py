"""Training steps on the fake CUDA device: no mixed devices, no wait but the documented, few
launches. A bound on launches is a sixth to a fifth above what was counted when it was set."""

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import pytest
from torch.nn.functional import cosine_similarity
from torch.testing import assert_close

from support import device_steps
from tartan.testing import save_tiny
from tartan.testing.fake_cuda import FakeDevice
from tartan.testing.fake_cuda.build import why_not

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

FLAG = "train/finite.py Event.synchronize"
"""The flag of a step that is not finite: read a step late, or with on_nonfinite=skip at once."""
STATIC = ("objectives=[mlm]", "weighting=static")
META = ("objectives=[mlm]", "weighting=meta")
NO_KERNEL = ("objectives=[]", "weighting=static", "model.heads=8")
ROBERTA_BASES_DEPTH = "model.layers=12"
EVERY_OBJECTIVE = "objectives=[mlm,clm,rtd,simcse,rdrop,vat]"


@pytest.fixture(scope="module")
def device():
    with FakeDevice() as device:
        yield device


Taken = Callable[..., device_steps.Steps]
"""Takes steps of a run with some overrides, once for all tests."""


@pytest.fixture(scope="module")
def taken(device: FakeDevice) -> Taken:
    return cache(partial(device.call, device_steps.steps))


def about_kernels(steps: device_steps.Steps) -> list[str]:
    """Return the notices about kernels that are not used."""
    return [notice for notice in steps.notices if notice.startswith(("attention in", "layers un"))]


def without_line_numbers(places: frozenset[str]) -> set[str]:
    return {f"{place.partition(':')[0]} {place.partition(' ')[2]}" for place in places}


@pytest.mark.parametrize(
    ("overrides", "most"),
    [
        pytest.param([*STATIC, ROBERTA_BASES_DEPTH], 800, id="static"),  # the goal is 1,000
        pytest.param([*META, ROBERTA_BASES_DEPTH], 2500, id="meta"),  # this is the goal
        pytest.param([*META, "accumulate=2"], 1560, id="accumulated"),
        pytest.param([*META, "on_nonfinite=skip"], 1080, id="skipping"),
        pytest.param([EVERY_OBJECTIVE, "weighting=static"], 2000, id="every-objective-static"),
        pytest.param([EVERY_OBJECTIVE, "weighting=meta"], 3050, id="every-objective-meta"),
    ],
)
def test_a_step_waits_for_its_flag_alone(taken: Taken, overrides: list[str], most: int):
    steps = taken(*overrides)
    assert without_line_numbers(steps.places) == {FLAG}
    assert steps.launches <= most, steps.operators


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_a_step_of_a_decoder_waits_for_its_flag_alone(
    device: FakeDevice, family: str, tmp_path: Path
):
    """Not for what transformers reads of tokens and positions in a pass without a mask."""
    save_tiny(tmp_path, family, "CausalLM")
    steps = device.call(device_steps.steps_of_a_saved_model, str(tmp_path))
    assert without_line_numbers(steps.places) == {FLAG}


@pytest.mark.parametrize(
    ("overrides", "most"),
    [pytest.param(STATIC, 280, id="static"), pytest.param(META, 900, id="meta")],
)
def test_graphs_leave_few_launches(device: FakeDevice, overrides: tuple[str, ...], most: int):
    steps = device.call(device_steps.steps_by_graphs, *overrides, ROBERTA_BASES_DEPTH)
    assert without_line_numbers(steps.places) == {FLAG}
    assert dict(steps.operators)["graph"] == (2 if overrides == STATIC else 7)
    assert steps.launches <= most, steps.operators


def test_a_step_that_does_not_measure_is_as_cheap_as_a_static_one(device: FakeDevice):
    """Of four steps with every=4, one measures."""
    given = ("objectives=[mlm]", "weighting=meta", "weighting.every=4")
    steps = device.call(device_steps.four_steps, *given)
    assert without_line_numbers(steps.places) == {FLAG}
    assert steps.launches <= 560, steps.operators


@pytest.mark.parametrize("overrides", [STATIC, META])
def test_layouts_are_made_ahead_in_another_thread(taken: Taken, overrides: tuple[str, ...]):
    assert taken(*overrides, ROBERTA_BASES_DEPTH).laid_out == 0


def test_masks_of_buckets_are_converted_once_and_not_in_each_layer(taken: Taken):
    few, many = (dict(taken(*NO_KERNEL, f"model.layers={n}").operators) for n in (1, 3))
    assert few["aten::masked_fill_"] == many["aten::masked_fill_"] > 0


def test_in_bf16_the_gradient_has_float32s_direction(device: FakeDevice):
    given = ("objectives=[mlm,simcse]", "weighting=static")
    exact, rounded = (
        device.call(device_steps.gradient_in, *where, *given)[0]
        for where in (("cpu", "fp32"), ("cuda", "bf16"))
    )
    assert cosine_similarity(exact, rounded, dim=0) > 0.999


def test_training_with_dropout_attends_by_the_variable_length_kernel(taken: Taken):
    """Each of twelve layers, forward and backward, in one joint pass."""
    steps = taken(*STATIC, ROBERTA_BASES_DEPTH)
    assert not about_kernels(steps)
    counts = dict(steps.operators)
    assert counts["aten::_flash_attention_forward"] == 12
    assert counts["aten::_flash_attention_backward"] == 12
    assert "aten::_scaled_dot_product_efficient_attention" not in counts


def test_where_the_kernel_cannot_be_used_there_is_a_notice(taken: Taken):
    steps = taken(*NO_KERNEL, "model.layers=1")
    (notice,) = about_kernels(steps)
    assert notice.startswith("attention in buckets, not by a variable-length kernel (heads of 2")


def test_weights_from_a_gramian_wait_for_nothing_more(device: FakeDevice):
    steps = device.call(device_steps.gramian_steps, "objectives=[mlm,simcse]")
    assert without_line_numbers(steps.places) == {FLAG}
    assert steps.launches <= 1200, steps.operators


def test_a_step_measures_what_it_measures_on_the_cpu(device: FakeDevice):
    given = ("objectives=[mlm,simcse]", "weighting=meta", "weighting.probe.dropout=0")
    found, expected = (
        device.call(device_steps.gradient, where, *given) for where in ("cuda", "cpu")
    )
    assert len(found) == 4
    for one, other in zip(found, expected, strict=True):
        assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_evaluation_and_the_record_wait_once(device: FakeDevice):
    evaluation, window = device.call(device_steps.read)
    assert without_line_numbers(evaluation.places) == {
        "train/evaluate.py blocking copy to the host"
    }
    assert without_line_numbers(window.places) == {"train/window.py blocking copy to the host"}
    assert window.launches <= 12, window.operators
