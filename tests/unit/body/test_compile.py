"""torch.compile: the same gradients, and no layer compiled again for each batch."""

from collections import Counter
from contextlib import nullcontext

import pytest
import torch
from torch.nn.functional import cosine_similarity
from torch.testing import assert_close

from support.kernels import kernel_on_a_cpu
from tartan import ModelError
from tartan.packed import Packed
from tartan.testing import tiny_source


def gradient(body, packed, dtype=torch.float32):
    body.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
        hidden = body(packed).float()
    (hidden * torch.arange(hidden.numel()).sin().view_as(hidden)).sum().backward()
    return torch.cat([p.grad.flatten() for p in body.parameters() if p.grad is not None])


@pytest.mark.heavy
def test_compiled_and_plain_agree_for_any_batch(packed):
    body = tiny_source("bert", num_hidden_layers=1).body().eval()
    batches = [packed, Packed(packed.input_ids[:31], (7, 1, 23))]
    plain = [gradient(body, batch) for batch in batches]
    names = list(body.state_dict())
    torch._dynamo.reset()  # other tests may have compiled the same layers
    before = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    body.compile_layers()
    for expected, batch in zip(plain, batches, strict=True):
        assert_close(gradient(body, batch), expected, atol=1e-5, rtol=1e-5)
    compiled = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    assert compiled > before
    gradient(body, Packed(packed.input_ids[:50], (25, 25)))
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == compiled
    assert list(body.state_dict()) == names


@pytest.mark.slow
def test_in_bf16_they_agree_in_direction(packed):
    body = tiny_source("bert").body().eval()
    plain = gradient(body, packed, torch.bfloat16)
    body.compile_layers()
    assert cosine_similarity(gradient(body, packed, torch.bfloat16), plain, dim=0) > 0.999


@pytest.mark.slow
def test_dropout_of_a_compiled_body_follows_from_the_seed(packed):
    body = tiny_source("bert").body()
    body.compile_layers()
    torch.manual_seed(1)
    first = body(packed)
    torch.manual_seed(1)
    assert torch.equal(body(packed), first)
    assert not torch.equal(body(packed), first)


def test_a_body_that_pads_is_not_compiled():
    with pytest.raises(ModelError, match="compile=true: deberta-v2 cannot be compiled: deberta-v2"):
        tiny_source("deberta-v2").body().compile_layers()


def test_without_a_compiler_it_is_refused(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ModelError, match=r"needs a C\+\+ compiler .* none was found"):
        tiny_source("bert").body().compile_layers()


@pytest.fixture
def _kernel_on_a_cpu(monkeypatch):
    with kernel_on_a_cpu(monkeypatch, torch.compiler.disable):
        yield


def random_batch(seed, vocabulary=60):
    """Return sequences of random number and lengths."""
    rng = torch.Generator().manual_seed(seed)
    count = int(torch.randint(2, 9, (), generator=rng))
    lengths = torch.randint(2, 24, (count,), generator=rng).tolist()
    ids = torch.randint(5, vocabulary, (sum(lengths),), generator=rng)
    return Packed(ids, tuple(lengths))


def compiled():
    """Return how often dynamo compiled, and where it broke a graph."""
    counters = torch._dynamo.utils.counters
    return counters["stats"]["unique_graphs"], Counter(counters["graph_break"])


@pytest.mark.usefixtures("_kernel_on_a_cpu")
@pytest.mark.parametrize("bf16", [False, True])
def test_with_the_variable_length_kernel_layers_compile_whole_and_not_again(bf16):
    """Three layers share their code; other batches, of any sizes, compile nothing."""
    context = torch.autocast("cpu", torch.bfloat16) if bf16 else nullcontext()
    body = tiny_source("bert", num_hidden_layers=3).body()
    assert body.use_varlen(context, torch.bfloat16 if bf16 else torch.float32) is None
    if bf16:
        assert body.use_bf16(context) is None
    expected = gradient(body.eval(), random_batch(0))
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    body.train().compile_layers(backend="aot_eager")
    with context, body.same_weights():
        for seed in range(2):
            body(random_batch(seed)).sum().backward()
        graphs, breaks = compiled()
        assert graphs == 1
        assert not breaks
        for seed in range(2, 8):
            body(random_batch(seed)).sum().backward()
    assert compiled() == (graphs, breaks)
    if not bf16:
        assert_close(gradient(body.eval(), random_batch(0)), expected, atol=1e-5, rtol=1e-5)
