"""The tasks of a run: the end task, and other labelled data that auxiliary objectives read."""

from collections.abc import Mapping, Sequence
from typing import Any

from tartan.batch import LabelKind
from tartan.config.parse import options
from tartan.data import Task, find_source, load_task, training_part
from tartan.data.task import SPLITS
from tartan.errors import ConfigError, TartanError
from tartan.objective import PrimaryObjective
from tartan.plugins import Plugins

Section = Mapping[str, Any]
"""One objective's part of the configuration: `plugin`, `batch_size`, the plugin's options, and
`data` where it is an auxiliary objective on labels."""


def end_task_class(plugin: str, plugins: Plugins) -> type[PrimaryObjective]:
    """The class of the end task. PluginError or ConfigError if the plugin cannot be one."""
    cls = plugins.objective(plugin)
    if not issubclass(cls, PrimaryObjective):
        raise ConfigError(f"primary={plugin} cannot be the end task: it predicts nothing")
    return cls


def load_section(
    section: Mapping[str, Any], labels: LabelKind, splits: Sequence[str] = SPLITS
) -> Task:
    """The task of a section `data`, with labels of a kind."""
    source = find_source(section["source"])
    values = {key: value for key, value in section.items() if key not in ("source", "metric")}
    return load_task(section["source"], options(source.options, values, "data"), labels, splits)


def load_auxiliary(
    name: str, section: Section, plugins: Plugins, end_task: Task
) -> tuple[Task, int] | None:
    """The training rows of an auxiliary objective on labels; None where it is on none.

    Args:
        name: the objective's.
        section: its part of the configuration.
        plugins: the installed plugins.
        end_task: rows with a text of its dev or test are left out.

    Returns:
        The task, of nothing but training rows, and how many were left out.

    Raises:
        ConfigError: it has no data of its own.
        TartanError: its data cannot be used.
    """
    cls = plugins.objective(section["plugin"])
    if not issubclass(cls, PrimaryObjective):
        return None
    where = f"objectives.{name}"
    if not section.get("data"):
        raise ConfigError(
            f"{where} reads labels: give it its own data, {where}.data.dir=... "
            "(a directory with a train.jsonl)"
        )
    data = {"source": "jsonl", **section["data"]}
    try:
        task = load_section(data, cls.reads, ("train",))
        return training_part(task, end_task)
    except TartanError as error:
        raise type(error)(f"{where}: {error}") from error
