"""Training with auxiliary objectives whose weights are learned while training.

Everything a plugin or a training loop of one's own needs is here. It is imported from
`tartan.public` when it is first used: `python -m tartan --help` needs no torch.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tartan.api import Run as Run
    from tartan.api import run as run
    from tartan.public import *  # noqa: F403


def __getattr__(name: str) -> Any:
    """Return a public name, imported when it is first used."""
    if name.startswith("_") and name != "__all__":
        raise AttributeError(f"module 'tartan' has no attribute '{name}'")
    if name in _APPLICATION:
        return getattr(import_module("tartan.api"), name)
    public = import_module("tartan.public")
    if name != "__all__" and name not in public.__all__:
        raise AttributeError(f"module 'tartan' has no attribute '{name}'")
    return getattr(public, name)


def __dir__() -> list[str]:
    """Return the public names, and what the module has already."""
    return sorted({*globals(), *_APPLICATION, *import_module("tartan.public").__all__})


class _Package(ModuleType):
    """The package, in which a public name is never hidden by a module of the same name.

    Python sets `tartan.backward` to the module when it is imported; people mean the function.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if not isinstance(value, ModuleType) or name not in _HIDDEN:
            super().__setattr__(name, value)


_APPLICATION = frozenset({"Run", "run"})
"""What trains; a plugin needs none of it."""
_HIDDEN = frozenset({"backward"})
sys.modules[__name__].__class__ = _Package
