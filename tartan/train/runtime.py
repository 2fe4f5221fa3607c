"""The device and the precision of a run."""

import re
import resource
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from tartan.batch import Batch
from tartan.body.body import Body
from tartan.checks import check_choice
from tartan.errors import ConfigError, first_line

PRECISIONS = ("auto", "fp32", "bf16", "fp16")
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Runtime:
    """A device and a precision.

    Attributes:
        device: the device of all tensors.
        precision: `fp32`; or `bf16` or `fp16`: weights stay float32, the body computes under
            autocast.
    """

    device: torch.device
    precision: str

    @classmethod
    def choose(cls, device: str = "auto", precision: str = "auto") -> "Runtime":
        """Choose the accelerator if there is one, and bf16 if the hardware is faster in it.

        Raises:
            ConfigError: an unknown precision, or a device that is not available.
        """
        check_choice("precision", precision, PRECISIONS)
        chosen = _device(device)
        if precision == "auto":
            precision = "bf16" if gains_by_bf16(chosen) else "fp32"
        return cls(chosen, precision)

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of matrix products."""
        return DTYPES[self.precision]

    def configure(self, *, tf32: bool) -> None:
        """Set torch's switches for the device, which are those of the process.

        Args:
            tf32: whether matrix products of float32 round their factors to 10 bits on a GPU.
        """
        if self.device.type == "cuda":
            torch.backends.cuda.matmul.allow_tf32 = tf32
            # It plans again for each shape, which takes half a second, and every batch has another.
            torch.backends.cuda.enable_cudnn_sdp(False)

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context in which the body and heads run."""
        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.dtype)

    @contextmanager
    def same_weights(self, body: Body) -> Iterator[None]:
        """Through a block in which weights are constant, cast each of a body's once.

        Not those of a divided body: it sums the gradients of a pass over the processes as the pass
        ends, and a cast of an earlier pass would be differentiated after that.
        """
        if self.precision == "fp32" or body.divided:
            yield
        else:
            with torch.autocast(self.device.type, enabled=False), body.same_weights():
                yield

    def pin(self, batch: Batch) -> Batch:
        """Return a batch of the CPU from where it reaches the device without waiting for it."""
        return batch.pin() if self.device.type == "cuda" else batch

    def reset_peak_memory(self) -> None:
        """Count the peak from now on, if the system supports that (CUDA, Linux)."""
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        else:
            with suppress(OSError):
                Path("/proc/self/clear_refs").write_text("5")

    def peak_memory(self) -> int:
        """Return the peak in bytes: of the device if it counts them, otherwise of the process."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device)
        with suppress(OSError):
            status = Path("/proc/self/status").read_text()
            if found := re.search(r"VmHWM:\s+(\d+) kB", status):
                return int(found[1]) * 1024
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024  # KiB on other systems


def gains_by_bf16(device: torch.device) -> bool:
    """Return whether the hardware has bf16 matrix products that are faster than float32 ones.

    CUDA 8.0, a CPU with AMX, or one with AVX-512's instructions that is not Intel's: an Intel Xeon
    without AMX was half as fast in bf16 as in float32, and an AMD EPYC twice as fast. The answer
    does not come from a measurement: it must be the same when a run is resumed on a busy machine.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    found = torch.cpu.get_capabilities()
    intel = str(found.get("cpu_name", "")).startswith("Intel")
    return bool(found.get("amx_bf16") or (found.get("avx512_bf16") and not intel))


def _device(name: str) -> torch.device:
    """Return the named device; `auto` is the accelerator, or the CPU if there is none."""
    if name == "auto":
        return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()  # `meta` has no values
        if device.type == "cuda" and device.index is not None:
            torch.cuda.set_device(device)  # events, streams and seeds go by the current device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ConfigError(f"device={name} cannot be used here: {first_line(error)}") from error
    return device
