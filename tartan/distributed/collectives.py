"""The collectives of torch.distributed that a step uses, by the names of every torch version."""

from torch import Tensor, distributed
from torch.distributed import ProcessGroup

_gather = getattr(distributed, "all_gather_single", None) or distributed.all_gather_into_tensor
_scatter = getattr(distributed, "reduce_scatter_single", None) or distributed.reduce_scatter_tensor


def sum_all(tensor: Tensor) -> None:
    """Replace a tensor by its sum over all processes (all-reduce)."""
    distributed.all_reduce(tensor)


def sum_parts(tensor: Tensor) -> Tensor:
    """Return this process's part of a tensor's sum over all processes (reduce-scatter).

    Args:
        tensor: [processes * size].
    """
    part = tensor.new_empty(tensor.numel() // distributed.get_world_size())
    if tensor.numel():
        _scatter(part, tensor)
    return part


def join_parts(part: Tensor, out: Tensor, group: ProcessGroup | None = None) -> None:
    """Write the parts of all processes to a tensor, in order of their ranks (all-gather).

    Args:
        part: [size].
        out: [processes * size].
        group: the processes; None for all.
    """
    if out.numel():
        _gather(out, part, group=group)
