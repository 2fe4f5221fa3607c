"""A body whose parameters are divided among processes: torch's `fully_shard` (FSDP2)."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor

from tartan.distributed.replicated import ReplicatedShared
from tartan.shared import Gradient


def make_mesh(device: torch.device, machines: int, processes: int) -> DeviceMesh:
    """Return the mesh of a sharded body: each machine holds a copy, its processes share it (HSDP).

    Args:
        device: of all parameters.
        machines: how many there are.
        processes: on each of them.
    """
    if machines == 1:
        return init_device_mesh(device.type, (processes,), mesh_dim_names=("shard",))
    return init_device_mesh(
        device.type, (machines, processes), mesh_dim_names=("replicate", "shard")
    )


def shard_body(
    body: nn.Module, layers: Iterable[nn.Module], kept: Collection[nn.Parameter], mesh: DeviceMesh
) -> None:
    """Divide a body's parameters among processes: each layer by itself, then the rest.

    Gradients are sums over the processes. Frozen parameters are divided too.

    Args:
        body: it is changed; its parameters are others afterwards.
        layers: its layers.
        kept: parameters of which every process keeps a copy, as they are read outside of the
            body's forward pass: token embeddings, which heads may be tied to.
        mesh: of `make_mesh`.
    """
    ignored = set(kept)
    for module in (*layers, body):
        fully_shard(module, mesh=mesh, reshard_after_forward=True, ignored_params=ignored)
    for unit in _units(body):
        unit.set_gradient_divide_factor(1.0)
        unit.set_force_sum_reduction_for_comms(True)  # gloo has sums only


@contextmanager
def whole(model: nn.Module, *, here: bool) -> Iterator[None]:
    """Through a block, give a model complete parameters on the CPU in one process, to be read.

    They are not for a forward pass. A model that is not divided stays as it is.

    Args:
        model: body and heads; every process calls this.
        here: whether this is the process; the others gather with it, and keep nothing of that.
    """
    divided = [
        (module, name, parameter)
        for module in model.modules()
        for name, parameter in module.named_parameters(recurse=False)
        if isinstance(parameter, DTensor)
    ]
    complete: dict[DTensor, nn.Parameter] = {}
    for parameter in dict.fromkeys(parameter for _, _, parameter in divided):
        full = parameter.full_tensor().detach()
        if here:
            # A copy: what was gathered of uneven parts is the beginning of a larger storage, which
            # safetensors refuses to write.
            complete[parameter] = nn.Parameter(full.to("cpu", copy=True), parameter.requires_grad)
        del full  # before the next one is gathered
    if not here:
        yield
        return
    for module, name, parameter in divided:
        module._parameters[name] = complete[parameter]
    try:
        yield
    finally:
        for module, name, parameter in divided:
            module._parameters[name] = parameter


@torch.no_grad()
def write_part(complete: Tensor, divided: DTensor) -> None:
    """Write this process's part of a complete tensor to a divided one."""
    mesh = divided.device_mesh
    last = mesh.ndim - 1
    divided.to_local().copy_(part_of(complete, mesh.get_local_rank(last), mesh.size(last)))


def part_of(complete: Tensor, place: int, places: int) -> Tensor:
    """Return one of the parts of a tensor along its first dimension, as FSDP2 makes them."""
    parts = torch.chunk(complete, places)
    return parts[place] if place < len(parts) else complete[:0]


def local(tensor: Tensor) -> Tensor:
    """Return the part of a tensor that this process holds; all of one that is not divided."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def _units(model: nn.Module) -> list[FSDPModule]:
    return [module for module in model.modules() if isinstance(module, FSDPModule)]


class ShardedShared(ReplicatedShared):
    """`Shared` of a sharded body: the backward pass itself leaves each process its part of a sum.

    A gradient has a tensor for each divided parameter, and the part of this process of those that
    every process keeps. Where machines hold copies, every part is on each of them: parts are
    multiplied by `copies ** -0.5` as they are taken, so that sums of products count each once.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], rank: int, ranks: int, copies: int
    ) -> None:
        """Hold the part of one of several processes.

        Args:
            parameters: the body's, after `shard_body`.
            rank: of this process.
            ranks: how many there are.
            copies: machines that hold a copy.
        """
        given = [p for p in parameters if p.requires_grad]
        self._divided: list[nn.Parameter] = [p for p in given if isinstance(p, DTensor)]
        super().__init__(given, rank, ranks)
        self.parameters = [p for p in given if not isinstance(p, DTensor)]
        self._numbers = sum(p.numel() for p in self.parameters)
        self._part = -(-self._numbers // ranks)
        self._factor = copies**-0.5
        self._locals = [nn.Parameter(local(p).detach()) for p in self._divided]
        self.size = self._part + sum(p.numel() for p in self._locals)
        parts = dict(zip(self._divided, self._locals, strict=True))
        self._owned = [parts.get(p, p) for p in given]

    @property
    def owned(self) -> list[nn.Parameter]:
        """What this process steps, in the order of the body's parameters: parts, or all of one."""
        return self._owned

    @property
    def none(self) -> Gradient:
        """The gradient that is 0."""
        return [None, *(None for _ in self._divided)]

    @property
    def parts(self) -> list[nn.Parameter]:
        """The parts of parameters that this process alone steps."""
        return self._locals

    def covers(self, parameter: nn.Parameter) -> bool:
        """Return whether a parameter may be what FSDP2 gathers of a divided one, by its shape."""
        return parameter.shape in {divided.shape for divided in self._divided}

    def clear(self) -> None:
        """Drop every parameter's `.grad`."""
        super().clear()
        for parameter in (*self._divided, *self._locals):
            parameter.grad = None

    def take(self) -> Gradient:
        """Return this process's parts of the sum of all processes' `.grad`."""
        parts = [None if p.grad is None else local(p.grad) for p in self._divided]
        if self._factor != 1:
            parts = [None if part is None else part * self._factor for part in parts]
        for parameter in self._divided:
            parameter.grad = None
        return [*super().take(), *parts]

    def give(self, gradient: Gradient) -> None:
        """Set the `.grad` of what this process steps from its parts."""
        kept, *parts = gradient
        super().give([kept])
        for parameter, part in zip(self._locals, parts, strict=True):
            given = torch.zeros_like(parameter) if part is None else part
            parameter.grad = given if self._factor == 1 else given / self._factor

    def flatten(self, gradient: Gradient, out: Tensor) -> Tensor:
        """Write the parts of a gradient to a tensor of their size, and return that."""
        for part, piece in zip(gradient, self._split(out), strict=True):
            piece.zero_() if part is None else piece.copy_(part)
        return out

    def give_flat(self, flat: Tensor) -> None:
        """Set the `.grad` of what this process steps from its flat parts, [size]."""
        self.give([piece.clone() for piece in self._split(flat)])

    def grad_norm(self) -> Tensor:
        """Return the norm of the complete `.grad`, [] float: one all-reduce."""
        nothing = self.flat().new_empty(0)
        norm = self.norm([p.grad for p in self._locals]) * self._factor
        _, _, total = self.totals(nothing, norms=norm)
        return torch.hypot(total, self.norm([p.grad for p in self.parameters]))

    def _split(self, flat: Tensor) -> list[Tensor]:
        """Split a flat tensor into views with the shapes of the parts of a gradient."""
        sizes = [self._part, *(p.numel() for p in self._locals)]
        kept, *pieces = flat.split(sizes)
        shaped = [piece.view(p.shape) for piece, p in zip(pieces, self._locals, strict=True)]
        return [kept, *shaped]
