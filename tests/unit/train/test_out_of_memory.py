"""Errors about memory are told from others, on every device, and put into a line."""

import pytest
import torch

from tartan.errors import OutOfMemoryError
from tartan.train import out_of_memory
from tartan.train.runtime import Runtime

CUDA = (
    "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 79.19 GiB of "
    "which 15.50 GiB is free. Including non-PyTorch memory, this process has 63.68 GiB in use."
)
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
    assert out_of_memory.asked(error) == asked


def test_a_line_names_place_figures_and_option():
    error = torch.OutOfMemoryError(CUDA)
    with (
        pytest.raises(OutOfMemoryError) as caught,
        out_of_memory.explained(CPU, "mlm, 8 sequences", "lower batch_size"),
    ):
        raise error
    line = str(caught.value)
    assert line.startswith("out of memory in mlm, 8 sequences (20.00 GiB more were asked for, ")
    assert line.endswith(" were in use at most on cpu): lower batch_size")
    assert caught.value.__cause__ is error


def test_other_errors_pass():
    with (
        pytest.raises(RuntimeError, match="shapes"),
        out_of_memory.explained(CPU, "mlm", "lower batch_size"),
    ):
        raise RuntimeError("shapes do not match")


@pytest.mark.parametrize(
    ("count", "shown"), [(5, "5 bytes"), (3 << 29, "1.5 GiB"), (1 << 60, "1.049e+06 TiB")]
)
def test_bytes_are_shown_in_the_largest_unit(count: int, shown: str):
    assert out_of_memory.amount(count) == shown
