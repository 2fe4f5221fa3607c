"""Attributes an exception to a plugin, by the code it came through, or to a lack of memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from traceback import walk_tb
from types import FrameType
from typing import Any

from tartan.errors import PluginError, TartanError, with_type
from tartan.plugins import Plugin, Plugins
from tartan.train import out_of_memory


@contextmanager
def blamed(plugins: Plugins) -> Iterator[None]:
    """Through a block, turn failures of plugins and of memory into a TartanError that names them.

    Other exceptions are defects of tartan, and are raised unchanged.
    """
    try:
        yield
    except TartanError:
        raise
    except Exception as error:
        explained = _explain(error, plugins)
        if explained is None:
            raise
        for note in getattr(error, "__notes__", ()):
            explained.add_note(note)
        raise explained from error


def _explain(error: Exception, plugins: Plugins) -> TartanError | None:
    """Return the error to report instead of an exception; None for a defect of tartan itself."""
    if out_of_memory.recognised(error):
        return out_of_memory.refusal(error, None, "the run", "choose a smaller model or batch_size")
    owned = [
        (plugin, frame, line)
        for frame, line in walk_tb(error.__traceback__)
        if (plugin := _owner(frame, plugins))
    ]
    if not owned:
        return None
    plugin, called, _ = owned[0]
    _, frame, line = owned[-1]
    return PluginError(
        f"{plugin.distribution}: '{plugin.name}' failed in {called.f_code.co_qualname} "
        f"({Path(frame.f_code.co_filename).name}:{line}): {with_type(error)} "
        "(set HYDRA_FULL_ERROR=1 for the traceback)"
    )


def _owner(frame: FrameType, plugins: Plugins) -> Plugin[Any] | None:
    """Return the plugin that a frame's code belongs to."""
    module, called = frame.f_globals.get("__name__"), type(frame.f_locals.get("self"))
    every: list[Plugin[Any]] = [*plugins.objectives.values(), *plugins.weightings.values()]
    owners = [plugin for plugin in every if plugin.cls.__module__ == module]
    return next((plugin for plugin in owners if plugin.cls is called), next(iter(owners), None))
