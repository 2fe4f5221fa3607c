"""Errors about memory are told from others, on every device, and put into a line."""

import pytest
import torch

from tartan.errors import OutOfMemoryError
from tartan.testing import tiny_source
from tartan.train import out_of_memory
from tartan.train.runtime import Runtime

CUDA = (
    "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 79.19 GiB of "
    "which 15.50 GiB is free. Including non-PyTorch memory, this process has 63.68 GiB in use."
)


@pytest.fixture(scope="module")
def source():
    return tiny_source("bert")


@pytest.fixture
def body(source):
    return source.body()


CPU = Runtime(torch.device("cpu"), "fp32")


def test_what_the_allocators_raise_is_recognised():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 50, dtype=torch.int8)
    assert out_of_memory.recognised(caught.value)
    assert out_of_memory.recognised(torch.OutOfMemoryError(CUDA))
    assert out_of_memory.recognised(MemoryError())
    assert not out_of_memory.recognised(RuntimeError("shapes do not match"))


@pytest.mark.parametrize(
    ("error", "asked"), [(torch.OutOfMemoryError(CUDA), "20.00 GiB"), (MemoryError(), "")]
)
def test_how_much_was_asked_for_is_told_where_it_is_known(error: Exception, asked: str):
    assert out_of_memory.requested(error) == asked


def test_a_line_names_place_figures_and_option():
    error = torch.OutOfMemoryError(CUDA)
    with (
        pytest.raises(OutOfMemoryError) as caught,
        out_of_memory.explained(CPU, "mlm, 8 sequences", "lower batch_size"),
    ):
        raise error
    line = str(caught.value)
    assert line.startswith("out of memory in mlm, 8 sequences (20.00 GiB more were requested, ")
    assert line.endswith(" on cpu): lower batch_size")
    assert caught.value.__cause__ is error


def test_other_errors_pass():
    with (
        pytest.raises(RuntimeError, match="shapes"),
        out_of_memory.explained(CPU, "mlm", "lower batch_size"),
    ):
        raise RuntimeError("shapes do not match")


@pytest.mark.parametrize(
    ("error", "memory"),
    [
        (RuntimeError("could not create a primitive"), True),
        (RuntimeError("could not create a memory object"), True),
        (RuntimeError("could not create a primitive descriptor for a matmul primitive"), False),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"), True),
        (RuntimeError("unable to mmap 8 bytes from file <x>: Cannot allocate memory (12)"), True),
        (OSError(12, "Cannot allocate memory"), True),
        (OSError(28, "No space left on device"), False),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
    ],
)
def test_refused_memory_is_recognised_whoever_reports_it(error: Exception, memory: bool):
    assert out_of_memory.recognised(error) == memory


def test_options_that_save_memory_are_named_until_they_are_used(body):
    where, remedy = out_of_memory.advice(["mlm"], [100, 60], "task", body)
    assert where == "mlm, 2 sequences of at most 100 tokens, 160 tokens in all"
    assert remedy == (
        "lower objectives.mlm.batch_size, which a higher accumulate makes up for, or "
        "model.max_length; or set model.gradient_checkpointing=true"
    )
    _, remedy = out_of_memory.advice(["task", "mlm"], [20] * 10, "task", body)
    assert remedy.startswith("lower batch_size, which")
    assert remedy.endswith(
        "; or set model.gradient_checkpointing=true or model.max_tokens_per_pass=100"
    )
    body.checkpoint_layers()
    body.max_tokens = 100
    _, remedy = out_of_memory.advice(["task"], [20] * 10, "task", body)
    assert remedy.endswith("model.max_length; or set model.max_tokens_per_pass=50")
    body.max_tokens = 20
    _, remedy = out_of_memory.advice(["task"], [20] * 10, "task", body)
    assert remedy.endswith("or model.max_length")


def test_the_dev_gradient_has_options_of_its_own(body):
    assert out_of_memory.advice(("the dev gradient",), [], "task", body) == (
        "the dev gradient",
        "lower weighting.probe.fit_batch_size and weighting.probe.grad_batch_size; or set "
        "model.gradient_checkpointing=true, or choose a smaller model",
    )
