"""Progress bars: on a terminal, and in a notebook, where no widgets are needed."""

import time
from importlib import import_module
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
)

EVERY = 0.5
"""Seconds between two pictures of a bar in a notebook."""


class NotebookBar(Progress):
    """A bar in the output of a notebook's cell, drawn again by the steps themselves.

    rich's own needs ipywidgets, and a thread.
    """

    def __init__(self, *columns: Any) -> None:
        super().__init__(*columns, auto_refresh=False)
        self._shown: Any = None
        self._drawn = 0.0

    def start(self) -> None:
        """Show the bar."""
        self._shown = _notebook().display(self, display_id=True)

    def update(self, task_id: TaskID, *args: Any, **fields: Any) -> None:
        """Move the bar, and change what stands beside it."""
        super().update(task_id, *args, **fields)
        now = time.monotonic()
        if self._shown and now - self._drawn >= EVERY:
            self._drawn = now
            self._shown.update(self)

    def stop(self) -> None:
        """Remove the bar."""
        if self._shown:
            self._shown.update(_notebook().HTML(""))


def _notebook() -> Any:
    """Return the module that shows things in a notebook, where it is always installed."""
    return import_module("IPython.display")


def in_notebook() -> bool:
    """Return whether the code runs in a notebook."""
    return Console().is_jupyter


def new_bar(console: Console) -> Progress | None:
    """Return a progress bar that is not shown yet; None where there is no place for one."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[left]}"),
        TextColumn("{task.fields[latest]}"),
    )
    if in_notebook():
        return NotebookBar(*columns)
    return Progress(*columns, console=console, transient=True) if console.is_terminal else None
