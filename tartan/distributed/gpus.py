"""The GPU of each process: its own."""

import socket
from collections.abc import Sequence

import torch

from tartan.distributed.place import Place
from tartan.errors import ConfigError, PeerError


def take_gpu(place: Place, device: str) -> str | None:
    """Make a GPU of this machine the current one; return what it is called among all machines.

    None where the run needs none.

    Args:
        place: of this process.
        device: the option `device`.

    Raises:
        ConfigError: there is no GPU, or the option names one for all processes; of that, PeerError
            in ranks other than 0.
    """
    name, _, index = device.partition(":")
    if name != "cuda" and not (device == "auto" and torch.cuda.is_available()):
        return None
    if index:
        raise _reported(
            place,
            f"device={device} is one GPU, and each of {place.size} processes takes its own: set "
            "device=cuda",
        )
    if not (devices := torch.cuda.device_count()):
        raise ConfigError(f"device={device}: this machine has no CUDA device; set device=cpu")
    number = place.local % devices  # one of one where the launcher gives each process its own
    torch.cuda.set_device(number)
    return f"{torch.cuda.get_device_properties(number).uuid} of {socket.gethostname()}"


def check_apart(place: Place, gpus: Sequence[str]) -> None:
    """Check that no two processes have the same GPU.

    Args:
        place: of this process.
        gpus: what the GPU of each is called, by rank.

    Raises:
        ConfigError: two have; PeerError in ranks other than 0.
    """
    for rank, gpu in enumerate(gpus):
        if (other := gpus.index(gpu)) < rank:
            raise _reported(
                place,
                f"ranks {other} and {rank} of {place.size} have the same GPU ({gpu}): start one "
                "process for each GPU",
            )


def _reported(place: Place, message: str) -> ConfigError | PeerError:
    """Return the error for what all processes find: rank 0 reports it."""
    return PeerError(2) if place.rank else ConfigError(message)
