"""Passes by graphs: the same hidden states and gradients, whatever the order of passes."""

from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from support.kernels import kernel_on_a_cpu
from tartan import ModelError
from tartan.body.bf16 import Bf16Layers
from tartan.body.graphs import LayerGraphs
from tartan.body.graphs.recorder import WaitsError
from tartan.body.reading import make_layout
from tartan.packed import Packed
from tartan.testing import tiny_source
from tartan.testing.fake_cuda.repeating import Repeating

BF16 = torch.autocast("cpu", torch.bfloat16)


@pytest.fixture(autouse=True)
def _kernel_on_a_cpu(monkeypatch):
    with kernel_on_a_cpu(monkeypatch):
        yield


def batch(seed, count=6, vocabulary=60):
    """Return sequences whose lengths vary, but not so much that they need another graph."""
    rng = torch.Generator().manual_seed(seed)
    lengths = torch.randint(8, 12, (count,), generator=rng).tolist()
    ids = torch.randint(5, vocabulary, (sum(lengths),), generator=rng)
    return Packed(ids, tuple(lengths))


def without_graphs(family="bert"):
    """Return a body that could have graphs."""
    body = tiny_source(family, num_hidden_layers=3).body()
    assert body.use_bf16(BF16) is None
    body._varlen = True
    return body


def made(family="bert"):
    """Return a body with graphs, and what records them."""
    body, recorder = without_graphs(family), Repeating()
    assert body.use_graphs(BF16, recorder) is None
    recorder.recorded = recorder.repeated = 0
    return body, recorder


def loss(body, packed):
    hidden = body(packed)
    return (hidden * torch.arange(hidden.numel()).sin().view_as(hidden)).sum()


def gradient(body, *passes, seed=0, steps=1):
    """Return the gradient of a pass, then of its backward pass, and so on, flat."""
    for _ in range(steps):
        body.zero_grad()
        with BF16, body.same_weights():
            for packed in passes:
                torch.manual_seed(seed)
                loss(body, packed).backward()
    return torch.cat([p.grad.flatten() for p in body.parameters()])


@contextmanager
def one_by_one(body):
    """Compute kernel by kernel within a block."""
    graphs, body._bf16._graphs = body._bf16._graphs, None
    try:
        yield
    finally:
        body._bf16._graphs = graphs


@pytest.mark.parametrize(
    "family", ["bert", "roberta", "distilbert", "modernbert", "electra", "llama", "gpt2"]
)
def test_gradients_are_the_same_with_dropout(family):
    body, recorder = made(family)
    first, second = batch(0), batch(1)
    with one_by_one(body):
        expected = [gradient(body, each, seed=7) for each in (first, second, first)]
    found = [gradient(body, each, seed=7, steps=2) for each in (first, second, first)]
    assert recorder.recorded == 2  # a forward and a backward pass, for both batches
    assert recorder.repeated > 0
    for one, other in zip(expected, found, strict=True):
        assert_close(one, other, rtol=0, atol=0)


def test_hidden_states_without_gradient_have_a_graph_of_their_own():
    body, recorder = made()
    body.eval()
    packed = batch(0)
    with torch.no_grad(), BF16, body.same_weights():
        with one_by_one(body):
            expected = body(packed)
        found = [body(packed) for _ in range(3)]
    assert (recorder.recorded, recorder.repeated) == (1, 2)
    for each in found:
        assert torch.equal(each, expected)


def test_a_pass_before_the_backward_pass_of_another_is_computed_by_itself():
    """They would use the same memory."""
    body, recorder = made()
    gradient(body, batch(0), batch(1))
    repeated = recorder.repeated
    body.zero_grad()
    with BF16, body.same_weights():
        torch.manual_seed(0)
        first = loss(body, batch(0))
        torch.manual_seed(0)
        second = loss(body, batch(1))
        (first + second).backward()
    assert recorder.repeated == repeated + 2  # the first one's forward and backward pass
    together = torch.cat([p.grad.flatten() for p in body.parameters()])
    with one_by_one(body):
        expected = gradient(body, batch(0), batch(1))
    assert_close(together, expected, rtol=2e-2, atol=1e-3)  # sums of bf16 in another order


def test_a_pass_that_nobody_holds_does_not_stop_the_next_one():
    body, recorder = made()
    gradient(body, batch(0), batch(1))
    with BF16, body.same_weights():
        loss(body, batch(0))
        repeated = recorder.repeated
        loss(body, batch(0)).backward()
    assert recorder.repeated == repeated + 2


def test_a_second_backward_pass_through_a_pass_is_an_error():
    """Its graph may have used the memory of what the pass had computed."""
    body, _ = made()
    gradient(body, batch(0), batch(1))
    with BF16, body.same_weights():
        held = loss(body, batch(0))
        held.backward(retain_graph=True)
        with pytest.raises(ModelError, match=r"second backward pass.*cuda_graphs=false"):
            held.backward()


def test_a_pass_of_an_earlier_step_does_not_stop_those_of_the_next():
    body, recorder = made()
    gradient(body, batch(0), batch(1))
    with BF16, body.same_weights():
        held = loss(body, batch(0))
    repeated = recorder.repeated
    gradient(body, batch(0))
    assert recorder.repeated == repeated + 2
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):  # new weights
        held.backward()


def test_new_weights_are_read():
    body, _ = made()
    before = gradient(body, batch(0), steps=3)
    with torch.no_grad():
        for parameter in body.parameters():
            parameter.mul_(1.5)
    after = gradient(body, batch(0))
    assert not torch.allclose(before, after)
    with one_by_one(body):
        assert_close(gradient(body, batch(0)), after, rtol=0, atol=0)


def test_a_change_of_dropout_is_another_combination():
    body, recorder = made()
    gradient(body, batch(0), steps=3)
    recorded = recorder.recorded
    body.eval()
    evaluated = gradient(body, batch(0), steps=2)
    assert recorder.recorded == recorded + 2
    with one_by_one(body):
        assert_close(gradient(body, batch(0)), evaluated, rtol=0, atol=0)


def test_frozen_weights_have_no_gradient():
    body, _ = made()
    frozen = body.model.encoder.layer[0].attention
    frozen.requires_grad_(False)
    body.model.embeddings.requires_grad_(False)
    for _ in range(3):
        with BF16, body.same_weights():
            loss(body, batch(0)).backward()
    assert all(p.grad is None for p in frozen.parameters())
    assert all(p.grad is not None for p in body.model.encoder.layer[1].parameters())


def test_rows_have_few_numbers_of_tokens():
    """And at most an eighth of them is spare."""
    for tokens in (65, 1000, 1090, 4100):
        sizes = {n + spare(n) for n in range(tokens, tokens * 2)}
        assert len(sizes) <= 10
        assert all(spare(n) < max(64, n / 8) for n in range(tokens, tokens * 2))


def spare(tokens):
    return make_layout((tokens,), torch.device("cpu"), varlen=True, few_sizes=True).spare


def test_layers_whose_hidden_states_change_between_them_have_none(monkeypatch):
    body = without_graphs()
    call = LayerGraphs.__call__

    def changed(self, call_):
        return call(self, replace(call_, hidden=call_.hidden + 0))

    monkeypatch.setattr(LayerGraphs, "__call__", changed)
    assert body.use_graphs(BF16, Repeating()) == "hidden states change between the model's layers"
    assert gradient(body, batch(0)).isfinite().all()


def test_layers_that_take_what_a_graph_cannot_repeat_have_none(monkeypatch):
    body = without_graphs()
    call = LayerGraphs.__call__

    def with_an_object(self, call_):
        positional, named = call_.others
        return call(self, replace(call_, others=(positional, {**named, "deterministic": object()})))

    monkeypatch.setattr(LayerGraphs, "__call__", with_an_object)
    assert (
        body.use_graphs(BF16, Repeating()) == "the model's layers take an argument of type object"
    )


def test_a_body_that_waits_for_its_device_has_none():
    class Waiting(Repeating):
        def warm_up(self, work):
            raise WaitsError("aten::item")

    body = without_graphs()
    assert body.use_graphs(BF16, Waiting()) == "the model's layers wait for the device: aten::item"


def test_a_skipped_layer_is_an_error():
    body, _ = made()
    gradient(body, batch(0))
    layer = body.model.encoder.layer[1]
    skipped = patched(layer, "forward", lambda hidden, *_, **__: hidden)
    refused = pytest.raises(ModelError, match="skips layers in training: set cuda_graphs=false")
    with BF16, body.same_weights(), skipped, refused:
        body(batch(0))
    with one_by_one(body):
        expected = gradient(body, batch(0))
    assert_close(gradient(body, batch(0)), expected, rtol=0, atol=0)


def test_two_passes_above_frozen_layers_do_not_share_an_output():
    """The last layer's backward pass of the first reads it after the second."""
    body, recorder = made()
    body.model.embeddings.requires_grad_(False)
    for layer in body.model.encoder.layer[:-1]:
        layer.requires_grad_(False)

    def both():
        body.zero_grad()
        with BF16, body.same_weights():
            torch.manual_seed(0)
            first, second = loss(body, batch(0)), loss(body, batch(1))
            (first + second).backward()
        return torch.cat([p.grad.flatten() for p in body.parameters() if p.grad is not None])

    found = [both() for _ in range(3)][-1]
    assert recorder.repeated
    with one_by_one(body):
        assert_close(both(), found, rtol=0, atol=0)


def test_an_exception_between_layers_leaves_the_next_pass_alone():
    body, _ = made()
    expected = gradient(body, batch(0), steps=3)

    def fail(*_, **__):
        raise ZeroDivisionError

    broken = patched(body.model.encoder.layer[1], "forward", fail)
    with BF16, body.same_weights(), broken, pytest.raises(ZeroDivisionError):
        body(batch(0))
    assert_close(gradient(body, batch(0)), expected, rtol=0, atol=0)


def test_a_copy_of_a_body_has_no_graphs():
    body, _ = made()
    expected = gradient(body, batch(0), steps=3)
    copy = deepcopy(body)
    assert_close(gradient(copy, batch(0)), expected, rtol=0, atol=0)


@contextmanager
def patched(module, name, value):
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)


def in_parts(body):
    body.use_bf16(BF16)
    body._varlen, body.max_tokens = True, 64


def in_half_precision(body):
    body.use_bf16(BF16)
    body._varlen = True
    body.model.encoder.layer[0].attention.to(torch.bfloat16).requires_grad_(False)
    body._bf16 = Bf16Layers(body.model)


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (lambda body: None, "layers do not compute in bf16"),
        (lambda body: body.use_bf16(BF16), "attention is not by the variable-length kernel"),
        (in_parts, "passes are read in parts"),
        (in_half_precision, "frozen weights are in half precision"),
    ],
)
def test_what_graphs_need(prepare, reason):
    body = tiny_source("bert", num_hidden_layers=3).body()
    prepare(body)
    assert body.use_graphs(BF16, Repeating()) == reason
