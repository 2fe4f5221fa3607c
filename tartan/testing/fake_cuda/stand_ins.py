"""Functions of `torch.cuda` that need a GPU or a CUDA build, for the rest of a process."""

from types import SimpleNamespace
from typing import Any, Self

import torch
from torch import Tensor

from tartan.body.graphs import recorder
from tartan.testing.fake_cuda import attention
from tartan.testing.fake_cuda.record import waited
from tartan.testing.fake_cuda.repeating import Repeating


class Event:
    """An event: everything before it has happened, but waiting for it is recorded."""

    def __init__(self, *_: object, **__: object) -> None:
        """Take any arguments, as `torch.cuda.Event` does."""

    def record(self, stream: object = None) -> None:
        """Do nothing: work is done when it is queued."""

    def synchronize(self) -> None:
        """Record that the host waits."""
        waited("Event.synchronize")

    def query(self) -> bool:
        """Return True."""
        return True


class Stream:
    """The only stream."""

    def __init__(self, *_: object, **__: object) -> None:
        """Take any arguments, as `torch.cuda.Stream` does."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def wait_stream(self, _: object) -> None:
        """Do nothing: work is done when it is queued."""

    def synchronize(self) -> None:
        """Record that the host waits."""
        waited("Stream.synchronize")


def _no_state(_: object = "cuda") -> Tensor:
    """Return the state of the device's random numbers: it uses the CPU's."""
    return torch.get_rng_state()


STORAGE: Any = torch.UntypedStorage
_clone = STORAGE.clone


def _cloned(storage: Any) -> Any:
    """Return a copy of a storage, as `copy.deepcopy` of a buffer needs it.

    torch takes memory for it from the driver, not from the device's allocator.
    """
    if storage.device.type != "cuda":
        return _clone(storage)
    size = storage.nbytes()
    seen = torch.empty(0, dtype=torch.uint8, device=storage.device)
    seen.set_(storage, 0, (size,), (1,))
    return seen.clone().untyped_storage()


def is_fake() -> bool:
    """Return whether the CUDA device of this process is the fake one."""
    cuda: Any = torch.cuda
    return cuda.Event is Event


def install() -> None:
    """Replace what is missing. The library must have been loaded before torch was imported."""
    values = {
        "is_available": True,
        "is_initialized": True,
        "is_bf16_supported": True,
        "is_current_stream_capturing": False,
        "device_count": 1,
        "current_device": 0,
        "get_device_name": "fake CUDA",
        "get_device_capability": (8, 0),
        "get_device_properties": SimpleNamespace(name="fake CUDA", total_memory=80 * 10**9),
        "max_memory_allocated": 0,
        "memory_allocated": 0,
        "reset_peak_memory_stats": None,
        "set_device": None,
        "set_sync_debug_mode": None,
        "set_rng_state": None,
        "empty_cache": None,
        "manual_seed": None,
        "manual_seed_all": None,
        "_lazy_init": None,
    }
    cuda: Any = torch.cuda
    for name, value in values.items():
        setattr(cuda, name, lambda *_, value=value, **__: value)
    cuda.Event, cuda.Stream = Event, Stream
    STORAGE.clone = _cloned
    cuda.current_stream = lambda *_: Stream()
    cuda.synchronize = lambda *_: waited("torch.cuda.synchronize")
    cuda.get_rng_state = _no_state
    cuda.get_rng_state_all = lambda: [_no_state()]
    cuda.set_rng_state_all = lambda _: None
    cuda.amp.common.amp_definitely_not_available = lambda: False
    # The copy inside torch.tensor(..., device="cuda") is recorded only so.
    torch._C._set_only_lift_cpu_tensors(True)
    attention.register()
    recorder.CudaRecorder = Repeating  # type: ignore[misc,assignment]
