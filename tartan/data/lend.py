"""What one task lends to the training of another."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import chain

from datasets import Dataset

from tartan.data.task import Task, normalise
from tartan.errors import DataError


def training_part(task: Task, end_task: Task) -> tuple[Task, int]:
    """What another task may lend to the training of an end task, and how many rows it may not.

    Args:
        task: any task; its dev, test and corpora are left out. The hash of its train stays that
            of the rows as they were read.
        end_task: rows with a text of its dev or test, up to white space, are left out.

    Raises:
        DataError: no row is left.
    """
    held_out = chain.from_iterable(map(texts_of, (end_task.dev, end_task.test)))
    unwanted = {normalise(text) for text in held_out}
    columns = [task.train[column] for column in text_columns(task.train)]
    kept = [
        number
        for number, texts in enumerate(zip(*columns, strict=True))
        if unwanted.isdisjoint(map(normalise, texts))
    ]
    if not kept:
        raise DataError(
            f"{task.name}: all {len(task.train)} rows of train stand in the end task's dev or "
            "test: give it other data"
        )
    train, none = task.train.select(kept), task.train.select([])
    hashes = {"train": task.hashes["train"]}
    part = replace(task, train=train, dev=none, test=none, corpora={}, hashes=hashes, dropped={})
    return part, len(task.train) - len(kept)


def text_columns(rows: Dataset) -> list[str]:
    """The columns of rows that hold their texts."""
    return [column for column in ("text", "text_pair") if column in rows.column_names]


def texts_of(rows: Dataset) -> Iterable[str]:
    """Every text of rows."""
    return chain.from_iterable(rows[column] for column in text_columns(rows))
