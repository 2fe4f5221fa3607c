"""A search for rows of dev and test in all that an object refers to."""

from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from types import FunctionType, MemberDescriptorType, MethodType, ModuleType
from typing import Any

import numpy as np
from datasets import Dataset
from torch import Tensor

from tartan.data.task import SPLITS
from tartan.testing.world import World

_LEAVES = (str, bytes, int, float, complex, type, ModuleType, Tensor, np.ndarray, Dataset)


def reachable(root: object, name: str) -> Iterator[tuple[str, object]]:
    """Yield every object reachable from a root once, with the path to it."""
    seen: dict[int, object] = {}  # holds what it has seen, so that no id is used again
    waiting = [(name, root)]
    while waiting:
        way, found = waiting.pop()
        if id(found) in seen:
            continue
        seen[id(found)] = found
        yield way, found
        if not isinstance(found, _LEAVES):
            waiting += [(f"{way}{step}", child) for step, child in children(found)]


def children(parent: Any) -> Iterator[tuple[str, object]]:
    """Yield the objects that one refers to, with the path; not the globals of functions."""
    if isinstance(parent, Mapping):
        yield from ((f"[{key!r}]", value) for key, value in parent.items())
    elif isinstance(parent, list | tuple | set | frozenset | deque):
        yield from ((f"[{number}]", value) for number, value in enumerate(parent))
    elif isinstance(parent, partial):
        yield from ((".func", parent.func), (".args", parent.args), (".keywords", parent.keywords))
    elif isinstance(parent, MethodType):
        yield from ((".__self__", parent.__self__), (".__func__", parent.__func__))
    elif isinstance(parent, FunctionType):
        yield ".__defaults__", parent.__defaults__
        yield ".__kwdefaults__", parent.__kwdefaults__
        for number, cell in enumerate(parent.__closure__ or ()):
            with suppress(ValueError):  # an empty cell
                yield f".__closure__[{number}]", cell.cell_contents
    else:
        slots = [name for name in dir(type(parent)) if _is_slot(type(parent), name)]
        yield from ((f".{slot}", getattr(parent, slot)) for slot in slots if hasattr(parent, slot))
    yield from ((f".{key}", value) for key, value in getattr(parent, "__dict__", {}).items())


def _is_slot(cls: type, name: str) -> bool:
    """Return whether a class attribute is a slot."""
    return isinstance(getattr(cls, name, None), MemberDescriptorType)


class HeldOut:
    """The rows of dev and test, recognised by text or tokens."""

    def __init__(self, world: World) -> None:
        self._rows: dict[object, str] = {}
        for split in (name for name in SPLITS if name != "train"):
            texts, rows = getattr(world.task, split), world.texts.split(split)
            for number, (text, row) in enumerate(zip(texts, rows, strict=True)):
                place = f"row {number} of {split} ({next(iter(text.values()))!r})"
                held = [value for value in text.values() if isinstance(value, str)]
                self._rows |= dict.fromkeys([*held, tuple(row["input_ids"])], place)
            for column in set(rows.column_names) - {"input_ids"}:
                if all(isinstance(value, int | float) for value in rows[column]):
                    self._rows[tuple(rows[column])] = f"the column {column} of {split}"

    def row(self, found: object) -> str | None:
        """Return the held-out row or column of labels that an object is or holds; None if none."""
        if isinstance(found, Dataset):
            values = [value for row in found for value in row.values()]
            columns = [list(found[name]) for name in found.column_names]
            return next((row for row in map(self.row, [*values, *columns]) if row), None)
        if isinstance(found, Tensor | np.ndarray):
            if found.ndim == 2:
                return next((row for row in map(self.row, found) if row), None)
            return self._rows.get(tuple(found.tolist())) if found.ndim == 1 else None
        if isinstance(found, list | tuple) and all(type(item) in (int, float) for item in found):
            return self._rows.get(tuple(found))
        return self._rows.get(found) if isinstance(found, str) else None
