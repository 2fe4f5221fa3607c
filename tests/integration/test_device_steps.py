"""Training steps on the fake CUDA device: no mixed devices, no wait but the documented, few
launches. A bound on launches is a sixth to a fifth above what was counted when it was set."""

import pytest
from torch.testing import assert_close

from support import device_steps
from tartan.testing.fake_cuda import FakeDevice
from tartan.testing.fake_cuda.library import why_not

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

FLAG = "train/finite.py Event.synchronize"
"""The flag of a step that is not finite: read a step late, or with on_nonfinite=skip at once."""
EVERY_OBJECTIVE = "objectives=[mlm,clm,rtd,simcse,rdrop,vat]"


@pytest.fixture(scope="module")
def device():
    with FakeDevice() as device:
        yield device


def without_line_numbers(places: frozenset[str]) -> set[str]:
    return {f"{place.partition(':')[0]} {place.partition(' ')[2]}" for place in places}


@pytest.mark.parametrize(
    ("overrides", "most"),
    [
        pytest.param(["objectives=[mlm]", "weighting=static"], 400, id="static"),
        pytest.param(["objectives=[mlm]", "weighting=meta"], 1250, id="meta"),
        pytest.param(
            ["objectives=[mlm]", "weighting=meta", "weighting.every=4"], 720, id="meta-every-4"
        ),
        pytest.param(
            ["objectives=[mlm]", "weighting=meta", "accumulate=2"], 2200, id="accumulated"
        ),
        pytest.param(
            ["objectives=[mlm]", "weighting=meta", "on_nonfinite=skip"], 1500, id="skipping"
        ),
        pytest.param([EVERY_OBJECTIVE, "weighting=static"], 2400, id="every-objective-static"),
        pytest.param([EVERY_OBJECTIVE, "weighting=meta"], 4500, id="every-objective-meta"),
    ],
)
def test_a_step_waits_for_its_flag_alone(device: FakeDevice, overrides: list[str], most: int):
    steps = device.call(device_steps.steps, *overrides)
    assert without_line_numbers(steps.places) == {FLAG}
    assert steps.launches <= most, steps.operators


def test_training_with_dropout_attends_by_the_variable_length_kernel(device: FakeDevice):
    """Each of two layers, forward and backward, in one joint pass."""
    steps = device.call(device_steps.steps, "objectives=[mlm]", "weighting=static")
    assert not steps.notices
    counts = dict(steps.operators)
    assert counts["aten::_flash_attention_forward"] == 2
    assert counts["aten::_flash_attention_backward"] == 2
    assert "aten::_scaled_dot_product_efficient_attention" not in counts


def test_where_the_kernel_cannot_be_used_there_is_a_notice(device: FakeDevice):
    steps = device.call(device_steps.steps, "objectives=[]", "weighting=static", "model.heads=8")
    (notice,) = steps.notices
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
    evaluation, window = device.call(device_steps.reading)
    assert without_line_numbers(evaluation.places) == {
        "train/evaluate.py blocking copy to the host"
    }
    assert without_line_numbers(window.places) == {"train/window.py blocking copy to the host"}
    assert window.launches <= 12, window.operators
