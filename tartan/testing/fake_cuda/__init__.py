"""A CUDA device for machines without one: it runs the code paths of a GPU on the CPU.

Its tensors report `cuda:0` and lie in the host's memory. It refuses operators that mix devices,
records what makes the host wait for the device, with the line that did it, and counts kernel
launches. It shows nothing about the kernels of a real GPU, their rounding, races or time, nor
about several devices.

torch allows it only from the start of a process, so it lives in one of its own:

>>> with FakeDevice() as device:  # doctest: +SKIP
...     device.call(function, argument)

`library` builds the C++ part (`device.cpp`) once with the system's compiler; `stand_ins` and
`attention` are what a CPU build of torch lacks; `record` is the record.
"""

from tartan.testing.fake_cuda.process import CannotBeSentError, DeviceProcessError, FakeDevice
from tartan.testing.fake_cuda.record import Record, Wait, recorded

__all__ = ["CannotBeSentError", "DeviceProcessError", "FakeDevice", "Record", "Wait", "recorded"]
