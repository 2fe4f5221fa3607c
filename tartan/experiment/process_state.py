"""The settings of a process that a run may change: restored for a program that calls tartan."""

import csv
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from accelerate import PartialState


@contextmanager
def restored_settings() -> Iterator[None]:
    """Through a block, let a run set what it needs; afterwards restore the process's settings.

    These are the random generators of Python, numpy and torch, torch's switches for GPUs with the
    current GPU, the longest cell that `csv` reads, and the state that trackers need of Accelerate.
    A run itself seeds its own choices, but plugins and libraries may draw from the generators.
    """
    numbers, arrays = random.getstate(), np.random.get_state()
    cuda = torch.backends.cuda
    # Reading `allow_tf32` is an error in a program that has set `fp32_precision`.
    products, cudnn = cuda.matmul.fp32_precision, cuda.cudnn_sdp_enabled()
    gpu = torch.cuda.current_device() if torch.cuda.is_initialized() else None
    longest_cell = csv.field_size_limit()
    accelerated = bool(PartialState._shared_state)
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    with torch.random.fork_rng(devices=devices):
        try:
            yield
        finally:
            random.setstate(numbers)
            np.random.set_state(arrays)
            csv.field_size_limit(longest_cell)
            cuda.matmul.allow_tf32 = products == "tf32"  # torch's older switches agree with it
            cuda.matmul.fp32_precision = products
            cuda.enable_cudnn_sdp(cudnn)
            if gpu is not None:
                torch.cuda.set_device(gpu)
            if not accelerated:
                PartialState._reset_state()
