"""docs/training-loop.md: its programs compute what the page says."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch.testing import assert_close

import tartan

PAGE = Path(__file__).parents[2] / "docs" / "training-loop.md"


@pytest.fixture(scope="module")
def page():
    """The names that the page's programs define, after they ran in order."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    scope: dict[str, object] = {}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        exec(compile("\n".join(blocks), PAGE.name, "exec"), scope)
    return SimpleNamespace(**scope)


def gradients(page):
    return [parameter.grad.clone() for parameter in page.trained]


def test_micro_batches_add_up_to_the_whole_batch(page):
    mean = page.task_loss(page.x, page.y) / 16, page.other_loss(page.x, page.z) / page.z.numel()
    heads = page.heads.values()
    whole = [tartan.Term.of(one, head.parameters()) for one, head in zip(mean, heads, strict=True)]
    tartan.backward(whole, page.weighting, page.shared)
    expected = gradients(page)
    pieces = [lambda piece=piece: page.task_loss(*piece) for piece in page.pieces]
    first = tartan.Term(pieces, items=16, private=tuple(page.heads["task"].parameters()))
    again = page.other_loss(page.x, page.z) / page.z.numel()
    second = tartan.Term.of(again, page.heads["other"].parameters())
    tartan.backward([first, second], page.weighting, page.shared)
    assert_close(gradients(page), expected)


def test_the_dev_gradient_moves_the_weights_and_nothing_else(page):
    assert page.measured.alignment.abs().max() <= 1
    assert not torch.equal(page.meta.weights(), torch.tensor([0.5, 0.5]))
    tartan.backward(page.terms(), page.meta, page.shared, dev=page.held_out())
    found = gradients(page)
    one, other = (weight.item() for weight in page.meta.weights())
    static = page.Static(page.StaticOptions({"task": one, "other": other}), tuple(page.heads))
    tartan.backward(page.terms(), static, page.shared)
    assert_close(found, gradients(page))
    assert page.encoder.training


def test_a_step_in_float16_has_the_gradient_of_float32(page):
    tartan.backward(page.terms(), page.meta, page.shared, dev=page.held_out())
    expected, before = gradients(page), [p.detach().clone() for p in page.trained]
    weights = page.meta.weights()
    page.step_in_float16(torch.amp.GradScaler("cpu", init_scale=2.0**10))
    assert_close(gradients(page), expected, rtol=0.02, atol=2e-3)
    assert not any(map(torch.equal, page.trained, before))
    assert not torch.equal(page.meta.weights(), weights)


def test_a_step_that_overflows_changes_nothing_and_lowers_the_factor(page):
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**126)
    before = [parameter.detach().clone() for parameter in page.trained]
    weights = page.meta.weights()
    page.step_in_float16(scaler)
    assert scaler.get_scale() == 2.0**125
    assert torch.equal(page.meta.weights(), weights)
    assert all(map(torch.equal, page.trained, before))


def test_adapters_alone_are_shared(page):
    names = [name for name, p in page.bert.named_parameters() if p.requires_grad]
    assert len(names) == 4
    assert all("lora_" in name for name in names)
    assert page.adapters.size == 2 * (2 * 16 + 16 * 2)
    assert page.lora_signals.alignment.isfinite().all()
    frozen = (p for p in page.bert.parameters() if not p.requires_grad)
    assert all(parameter.grad is None for parameter in frozen)
