"""Software and hardware that a run computes with; the last bits of results may depend on them."""

import platform
from importlib.metadata import version
from pathlib import Path

import torch

import tartan
from tartan.experiment.plugin_code import code_hash

PACKAGES = ("tartan", "torch", "transformers", "tokenizers", "datasets", "numpy")


def environment(device: torch.device) -> dict[str, str]:
    """Return versions, hardware and threads, and a hash of tartan's own code.

    Args:
        device: the device that the run computes on.
    """
    found = {name: version(name) for name in PACKAGES}
    found |= {"torch": torch.__version__, "python": platform.python_version()}
    found["code of tartan"] = code_hash([Path(path) for path in tartan.__path__])[:16]
    found["threads"] = str(torch.get_num_threads())
    if device.type == "cuda":
        return found | {"hardware": torch.cuda.get_device_name(device)}
    return found | {"hardware": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"}
