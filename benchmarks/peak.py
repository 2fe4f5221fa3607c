"""The peak speed of a machine: products of large matrices."""

import time

import torch

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def matrix_peak(
    device: torch.device, precision: str, seconds: float = 0.3, *, small: bool = False
) -> float:
    """Measure the fastest product of two square matrices; return its operations a second.

    Args:
        device: where.
        precision: `fp32` or `bf16`.
        seconds: how long to try each size; at least two products of each are timed.
        small: try the sizes of a CPU on a GPU, too: it is a fake one.
    """
    best = 0.0
    for size in (4096, 8192) if device.type == "cuda" and not small else (1024, 2048):
        one, other = (
            torch.randn(size, size, device=device, dtype=DTYPES[precision]) for _ in range(2)
        )
        out = torch.mm(one, other)
        began, count = time.perf_counter(), 0
        while count < 2 or time.perf_counter() - began < seconds:
            synchronise(device)
            start = time.perf_counter()
            torch.mm(one, other, out=out)
            synchronise(device)
            best = max(best, 2 * size**3 / (time.perf_counter() - start))
            count += 1
    return best


def synchronise(device: torch.device) -> None:
    """Wait until the device is idle; a CPU always is."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type != "cpu":
        torch.accelerator.synchronize(device)
