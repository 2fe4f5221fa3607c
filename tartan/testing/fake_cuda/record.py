"""The record of what a block does on a CUDA device: kernel launches, and waits of the host."""

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tartan.testing.waiting import waits

FREE = {
    "aten::alias", "aten::detach", "aten::empty", "aten::empty_like", "aten::empty_strided",
    "aten::lift_fresh", "aten::new_empty", "aten::new_empty_strided", "aten::record_stream",
    "aten::resize_", "aten::set_", "aten::_reshape_alias", "aten::_unsafe_view",
}  # fmt: skip
"""Operators that launch nothing, besides views."""

TENSORS_A_LAUNCH = {1: 110, 2: 64, 3: 48, 4: 36}
"""Most tensors of each list that one launch of torch's foreach kernels takes, by their number of
lists (MultiTensorApply.cuh)."""
BLOCKS_A_LAUNCH, BLOCK = 320, 65_536
"""Most blocks of one such launch, and the elements of a block."""

OUR_OWN = (str(Path(torch.__file__).parent), str(Path(__file__).parent), "<frozen ")
"""Files whose lines are not shown as those that wait."""


@dataclass(frozen=True)
class Wait:
    """The host waited for the device.

    Attributes:
        reason: an operator, or a kind of copy.
        line: the innermost line outside torch, `train/dev_loss.py:60`; empty in a backward pass.
    """

    reason: str
    line: str


@dataclass
class Record:
    """What a block did.

    Attributes:
        launches: kernel launches, by operator. An operator counts as one, a foreach operator as
            many as torch needs for its tensors.
        waits: how often the host waited, by reason and line.
    """

    launches: Counter[str] = field(default_factory=Counter)
    waits: Counter[Wait] = field(default_factory=Counter)

    @property
    def launched(self) -> int:
        """The number of launches."""
        return self.launches.total()

    def places(self) -> set[str]:
        """Return the lines that waited, each with its reason."""
        return {f"{wait.line} {wait.reason}".strip() for wait in self.waits}


_active: list[Record] = []


def waited(reason: str) -> None:
    """Add a wait of the current line to the active record, if any."""
    if _active:
        _active[-1].waits[Wait(reason, _line())] += 1


@contextmanager
def one_launch(name: str) -> Iterator[None]:
    """Count all launches of a block as one, of this name; its waits are not counted."""
    before = [(record, record.launches.copy(), record.waits.copy()) for record in _active]
    yield
    for record, launches, waits_before in before:
        record.launches, record.waits = launches + Counter([name]), waits_before


@contextmanager
def recorded() -> Iterator[Record]:
    """Record what a block does, its backward passes included."""
    record = Record()
    _active.append(record)
    try:
        with _Recorder(record):
            yield record
    finally:
        _active.remove(record)


class _Recorder(TorchDispatchMode):
    """Adds operators to a record."""

    def __init__(self, record: Record) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._record = record

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        options = kwargs or {}
        given = [leaf for leaf in tree_leaves((args, options)) if isinstance(leaf, Tensor)]
        if any(tensor.is_cuda for tensor in given) and (reason := waits(func, args, options)):
            waited(reason)
        if reason := _copy_waits(func, args, options):
            waited(reason)
        result = func(*args, **options)
        name = func.name().partition(".")[0]
        made = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        on_device = any(tensor.is_cuda for tensor in (*given, *made))
        if on_device and not func.is_view and name not in FREE:
            self._record.launches[name] += _launches(name, args)
        return result


def _copy_waits(func: Any, args: Sequence[Any], options: Mapping[str, Any]) -> str | None:
    """Return why a copy between host and device waits; None if it does not, or is none."""
    name = func.name().partition(".")[0]
    if name == "aten::copy_":
        target, source = args[0].device, args[1]
        asynchronous = bool(args[2] if len(args) > 2 else options.get("non_blocking"))
    elif name == "aten::_to_copy" and options.get("device") is not None:
        target, source = torch.device(options["device"]), args[0]
        asynchronous = bool(options.get("non_blocking"))
    elif name in ("aten::index", "aten::index_put", "aten::index_put_") and args[0].is_cuda:
        mixed = any(index is not None and not index.is_cuda for index in args[1])
        return "an index on the host" if mixed else None
    else:
        return None
    if target.type == source.device.type or "cuda" not in (target.type, source.device.type):
        return None
    way = "copy to the device" if target.type == "cuda" else "copy to the host"
    if target.type == "cuda" and not source.is_pinned():
        return f"{way} from pageable memory"
    return None if asynchronous else f"blocking {way}"


def _launches(name: str, args: Sequence[Any]) -> int:
    """Return how many launches an operator takes."""
    lists = [a for a in args if isinstance(a, list | tuple) and a and isinstance(a[0], Tensor)]
    if not lists or not name.startswith(("aten::_foreach", "aten::_fused", "aten::_amp_foreach")):
        return 1
    tensors: list[Tensor] = list(lists[0])
    most = TENSORS_A_LAUNCH.get(len(lists), TENSORS_A_LAUNCH[4])
    blocks = sum(-(-tensor.numel() // BLOCK) for tensor in tensors)
    return max(1, -(-len(tensors) // most), -(-blocks // BLOCKS_A_LAUNCH))


def _line() -> str:
    """Return the innermost line of the current stack that is not torch's."""
    frame = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith(OUR_OWN) and not file.endswith("contextlib.py"):
            return f"{'/'.join(Path(file).parts[-2:])}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return ""
