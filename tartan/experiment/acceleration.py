"""What a body's device offers: kernels of half precision, compiled layers, CUDA graphs."""

from collections.abc import Sequence

import torch

from tartan.body import Body
from tartan.body.graphs import recorder
from tartan.errors import ConfigError, ModelError
from tartan.train.runtime import Runtime


def accelerate(body: Body, runtime: Runtime, *, compiled: str, graphs: bool) -> list[str]:
    """Turn on what a body's device offers; return a notice for what is missing.

    Args:
        body: it is on its device already.
        runtime: where it trains.
        compiled: `true`, `false`, or `auto`: compiled layers were slower on a CPU and on a GPU, so
            that `auto` compiles nothing.
        graphs: whether layers have CUDA graphs.

    Raises:
        ConfigError: there are no graphs on this device or in this precision.
        ModelError: layers cannot be compiled or recorded.
    """
    notices = _half_precision(body, runtime)
    if compiled == "true":
        body.compile_layers()
    if graphs:
        _use_graphs(body, runtime, notices)
    return notices


def _use_graphs(body: Body, runtime: Runtime, notices: Sequence[str]) -> None:
    """Use CUDA graphs; notices may say why not. ConfigError or ModelError if it is not possible."""
    if runtime.device.type != "cuda" or runtime.precision != "bf16":
        raise ConfigError(
            f"cuda_graphs=true needs a CUDA device and precision=bf16, not "
            f"{runtime.device.type} and {runtime.precision}: remove it"
        )
    reason = body.use_graphs(runtime.autocast(), recorder.CudaRecorder(runtime.device))
    if reason is not None:
        because = "; ".join((reason, *notices))
        raise ModelError(f"cuda_graphs=true is not possible ({because}): remove it")


def _half_precision(body: Body, runtime: Runtime) -> list[str]:
    """Turn on a GPU's kernels of half precision; return a notice for each that is not used."""
    if runtime.device.type != "cuda" or runtime.dtype == torch.float32 or not body.reads_packed:
        return []
    notices = []
    if (reason := body.use_varlen(runtime.autocast(), runtime.dtype)) is not None:
        notices.append(f"attention in buckets, not by a variable-length kernel ({reason})")
    bf16 = runtime.dtype == torch.bfloat16
    if bf16 and (reason := body.use_bf16(runtime.autocast())) is not None:
        notices.append(f"layers under autocast, not in bf16 ({reason})")
    return notices
