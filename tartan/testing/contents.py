"""What an object holds, as text: to compare two objects, or one with itself at another time."""

import random
import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from enum import Enum
from itertools import count

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from tartan.testing.reach import children

_OPENED = (Mapping, list, tuple, set, frozenset, deque, Optimizer)
"""Objects whose parts are values too, wherever their class is defined."""

_PLAIN = (str, bytes, int, float, complex, Enum, count, np.generic)
"""Values that their text says."""


def contents(root: object) -> dict[str, str]:
    """Return the values that an object holds, by the path to each, such as `.past[0]`.

    Values are numbers, texts, tensors, arrays and random generators. Containers, dataclasses and
    objects of the root's own package are opened. Other objects are left out: what a solver of
    another package holds is not known to matter.
    """
    package = _package(root)
    return dict(_values(root, "", package, ()))


def lost(began: Mapping[str, str], one: nn.Module, other: nn.Module) -> list[str]:
    """Return the attributes of a module that have changed, and that another does not share.

    Args:
        began: the contents of `one` at an earlier time.
        one: the module; what its `state_dict` has is left out.
        other: a module of its class.
    """
    now, found = contents(one), contents(other)
    saved = {f".{name}" for name in one.state_dict()}
    paths = [
        path
        for path in {**now, **found}
        if path not in saved
        and now.get(path) != found.get(path)
        and now.get(path) != began.get(path)
    ]
    # Only the attribute is named: what it holds may be deep inside.
    return [*dict.fromkeys(re.sub(r"^\.(\w+).*", r"\1", path, flags=re.DOTALL) for path in paths)]


def _values(
    value: object, way: str, package: str, above: tuple[int, ...]
) -> Iterator[tuple[str, str]]:
    """Yield the values that an object holds with their paths; `above` holds it, by identity."""
    text = _text(value)
    if text is not None:
        yield way, text
    elif id(value) not in above and (not above or _is_opened(value, package)):
        yield way, type(value).__name__
        for step, child in _parts(value):
            yield from _values(child, f"{way}{step}", package, (*above, id(value)))


def _text(value: object) -> str | None:
    """Return a value as text; None for an object of another kind."""
    if isinstance(value, Tensor | np.ndarray):
        return f"{value.dtype} {value.tolist()}"
    if isinstance(value, torch.Generator):
        return str(value.get_state().tolist())
    if isinstance(value, random.Random):
        return str(value.getstate())
    if isinstance(value, np.random.Generator):
        return str(value.bit_generator.state)
    return repr(value) if value is None or isinstance(value, _PLAIN) else None


def _is_opened(value: object, package: str) -> bool:
    """Return whether the parts of an object that is held by another are values too."""
    if isinstance(value, type):
        return False
    return isinstance(value, _OPENED) or is_dataclass(value) or _package(value) == package


def _parts(value: object) -> Iterator[tuple[str, object]]:
    """Yield the objects that one holds, with the path; a module's tensors by their own names."""
    if not isinstance(value, nn.Module):
        yield from children(value)
        return
    own = dict(vars(value))
    held = [own.pop(name) for name in ("_parameters", "_buffers", "_modules")]
    yield from ((f".{name}", part) for names in (own, *held) for name, part in names.items())


def _package(value: object) -> str:
    """Return the name of the package in which an object's class is defined."""
    return type(value).__module__.partition(".")[0]
