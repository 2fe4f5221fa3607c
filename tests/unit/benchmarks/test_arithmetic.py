"""What is counted is what is computed; what is made of measurements survives a busy machine."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModel

from benchmarks.arithmetic import Body, Work, median_ratio, objectives_work
from benchmarks.peak import matrix_peak
from tartan.quiet import quiet
from tartan.testing import tiny_config


@pytest.fixture(scope="module")
def body():
    with quiet():
        return AutoModel.from_config(
            tiny_config("bert"), attn_implementation="eager", add_pooling_layer=False
        ).eval()


def tokens(lengths):
    return (torch.arange(sum(lengths)) % 60 + 5).view(len(lengths), -1)


def rows(*lengths):
    return [{"input_ids": list(range(length))} for length in lengths]


@pytest.mark.parametrize("lengths", [(8, 8, 8), (40,)])
def test_forward_is_what_torch_counts(body, lengths):
    """With attention written out: torch does not count what is inside a fused kernel."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        body(tokens(lengths))
    assert Body.of(body).forward(lengths) == counter.get_total_flops()


def test_a_backward_pass_costs_two_forward_passes(body):
    lengths = (20, 20)
    with FlopCounterMode(display=False) as counter:
        body(tokens(lengths)).last_hidden_state.sum().backward()
    assert Body.of(body).training(lengths) == counter.get_total_flops()


def test_work_counts_real_tokens_of_every_objective(body):
    counted = Body.of(body)
    work = objectives_work(counted, [rows(3, 5), rows(7)])
    assert work.tokens == 15
    assert work.flops == counted.training((3, 5)) + counted.training((7,))
    assert work + Work(1, 2.0) == Work(16, work.flops + 2.0)


def test_a_dev_gradient_fits_on_features_and_passes_back_once(body):
    counted = Body.of(body)
    found = counted.dev_gradient(rows(*[6] * 100), fitted=32, graded=64)
    assert found == pytest.approx(counted.forward([6] * 32) + counted.training([6] * 64))


def test_few_dev_rows_are_shared_out(body):
    counted = Body.of(body)
    found = counted.dev_gradient(rows(*[6] * 48), fitted=32, graded=64)
    assert found == pytest.approx(counted.forward([6] * 16) + counted.training([6] * 32))


def test_a_round_in_which_the_machine_was_slow_leaves_the_ratio():
    over, under = [4.0, 4.0, 4.0, 4.0], [2.0, 2.0, 2.0, 2.0]
    drift = [1.0, 3.0, 0.5, 10.0]
    drifted = [[value * d for value, d in zip(side, drift, strict=True)] for side in (over, under)]
    assert median_ratio(*drifted) == median_ratio(over, under) == 2.0


def test_one_disturbed_turn_does_not_move_the_ratio():
    assert median_ratio([4.0, 400.0, 4.0], [2.0, 2.0, 2.0]) == 2.0


def test_sides_with_different_rounds_are_no_pair():
    with pytest.raises(ValueError, match="zip"):
        median_ratio([1.0], [1.0, 2.0])


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_machine_has_a_peak(precision):
    assert matrix_peak(torch.device("cpu"), precision, seconds=0.0) > 1e6
