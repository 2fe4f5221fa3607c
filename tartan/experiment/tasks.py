"""The tasks of a run: the end task, and other labelled data that auxiliary objectives read."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from datasets import Dataset

from tartan.batch import LabelKind
from tartan.body import ModelSource
from tartan.config.parse import options
from tartan.data import Task, find_source, load_task, training_part
from tartan.data.hold_out import hold_out
from tartan.data.label_subset import LabelledOptions, keep_labels
from tartan.data.task import SPLITS
from tartan.errors import ConfigError, TartanError, located
from tartan.experiment.sections import Section
from tartan.experiment.texts import Texts, Training
from tartan.objective import PrimaryObjective
from tartan.plugins import Plugins


def load_section(
    section: Mapping[str, Any], labels: LabelKind, splits: Sequence[str] = SPLITS
) -> Task:
    """Load the task of a section `data`, with labels of a kind."""
    source = find_source(section["source"])
    shared = {field.name for field in fields(LabelledOptions)} & section.keys()
    own = section.keys() - shared - {"source", "metric"}
    kept = options(LabelledOptions, {key: section[key] for key in shared}, "data")
    values = options(source.options, {key: section[key] for key in own}, "data")
    return keep_labels(load_task(section["source"], values, labels, splits), kept)


@dataclass(frozen=True)
class Data:
    """All texts of a run, tokenised as they are read.

    Attributes:
        texts: the end task's.
        auxiliary: by name of an auxiliary objective on labels, the texts it is trained on.
        forbidden: by objective, how many of these rows were left out because dev or test of the end
            task contains their text.
        train: the end task's training rows.
        held_out: the rows of its training split that supply the dev gradient; none without a share.
    """

    texts: Texts
    auxiliary: Mapping[str, Texts]
    forbidden: Mapping[str, int]
    train: Dataset
    held_out: Dataset

    def training(self, names: Iterable[str]) -> dict[str, Training]:
        """Return what each objective is trained on, by name."""
        own = {name: its.training(its.split("train")) for name, its in self.auxiliary.items()}
        return {name: own.get(name) or self.texts.training(self.train) for name in names}


def load_data(
    task: Task,
    source: ModelSource,
    sections: Sequence[Section],
    plugins: Plugins,
    share: float,
    seed: int,
) -> Data:
    """Load the texts of a run.

    Args:
        task: the end task.
        source: the body's model, whose tokenizer reads them.
        sections: the objectives' parts of the configuration, the primary's first.
        plugins: the installed plugins.
        share: of the training rows, to hold out for the dev gradient; 0 for none.
        seed: the run's.

    Raises:
        TartanError: an objective's data cannot be used.
    """
    texts = Texts(task, source)
    lent = {
        section.name: found
        for section in sections[1:]
        if (found := load_auxiliary(section, plugins, task))
    }
    train, held_out = hold_out(texts.split("train"), share, seed)
    return Data(
        texts,
        {name: Texts(part, source) for name, (part, _) in lent.items()},
        {name: count for name, (_, count) in lent.items()},
        train,
        held_out,
    )


def load_auxiliary(section: Section, plugins: Plugins, end_task: Task) -> tuple[Task, int] | None:
    """Load the training rows of an auxiliary objective; None if it reads no labels.

    Args:
        section: the objective's.
        plugins: the installed plugins.
        end_task: rows with a text of its dev or test are left out.

    Returns:
        The task, which has training rows only, and how many rows were left out.

    Raises:
        ConfigError: it has no data of its own.
        TartanError: its data cannot be used.
    """
    cls = plugins.objective(section.plugin)
    if not issubclass(cls, PrimaryObjective):
        return None
    given = section.values.get("data")
    if not given:
        raise ConfigError(
            f"{section.where} reads labels: give it its own data, {section.where}.data.dir=... "
            "(a directory with a train.jsonl)"
        )
    data = {"source": "jsonl", **given}
    try:
        task = load_section(data, cls.reads, ("train",))
        return training_part(task, end_task)
    except TartanError as error:
        raise located(error, section.where) from error
