"""Where a task can come from: each source's options, and the function that reads it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Generic, Protocol, TypeVar

from tartan.batch import LabelKind
from tartan.data.demo import DemoOptions, load_demo
from tartan.data.files import FilesOptions, load_files
from tartan.data.hub import HubOptions, load_hub
from tartan.data.jsonl import JsonlOptions, load_jsonl
from tartan.data.task import SPLITS, Task
from tartan.errors import ConfigError, suggest

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)


class Load(Protocol[T_contra]):
    """Reads a task."""

    def __call__(self, options: T_contra, labels: LabelKind, splits: Sequence[str], /) -> Task:
        """Return the task that options describe: one kind of labels, only the given splits."""


@dataclass(frozen=True)
class Source(Generic[T]):
    """A source of tasks.

    Attributes:
        options: the dataclass of its options; every one has a default.
        load: reads the task that an instance of `options` describes.
    """

    options: type[T]
    load: Load[T]


SOURCES: Mapping[str, Source[Any]] = MappingProxyType(
    {
        "demo": Source(DemoOptions, load_demo),
        "files": Source(FilesOptions, load_files),
        "hub": Source(HubOptions, load_hub),
        "jsonl": Source(JsonlOptions, load_jsonl),
    }
)
"""Every source, by the name that `data.source` gives it."""


def find_source(name: str) -> Source[Any]:
    """Return the source with a name. ConfigError if there is none."""
    if name not in SOURCES:
        raise ConfigError(f"data.source={name} is not a source: {suggest(name, SOURCES)}")
    return SOURCES[name]


def load_task(
    source: str,
    options: object,
    labels: LabelKind = LabelKind.CLASS,
    splits: Sequence[str] = SPLITS,
) -> Task:
    """Read a task.

    Args:
        source: the name of its source.
        options: an instance of that source's options.
        labels: the kind of labels that is read.
        splits: which of train, dev and test to read; train is always among them.

    Raises:
        ConfigError: there is no such source, or an option cannot be used.
        DataError: the data cannot be used; names the file and line, or the split and row.
    """
    task: Task = find_source(source).load(options, labels, splits)
    return task
