"""Training rows of one task for the training of another."""

from array import array
from dataclasses import replace
from itertools import chain

from tartan.data.digests import digest
from tartan.data.task import Task, row_texts, texts_of
from tartan.errors import DataError


def training_part(task: Task, end_task: Task) -> tuple[Task, int]:
    """Return the rows of a task that an end task may train on, and the number of rows left out.

    Args:
        task: any task; its dev, test and corpora are left out. The hash of its train stays that
            of the rows as they were read.
        end_task: rows with a text of its dev or test, up to white space, are left out.

    Raises:
        DataError: no row is left.
    """
    held_out = set(map(digest, chain(texts_of(end_task.dev), texts_of(end_task.test))))
    kept = array("q")
    for number, texts in enumerate(row_texts(task.train)):
        if held_out.isdisjoint(map(digest, texts)):
            kept.append(number)
    if not kept:
        raise DataError(
            f"{task.name}: all {len(task.train)} rows of train also appear in the end task's dev "
            "or test: give it other data"
        )
    train, none = task.train.select(kept), task.train.select([])
    hashes = {"train": task.hashes["train"]}
    part = replace(
        task,
        train=train,
        dev=none,
        test=none,
        corpora={},
        streamed={},
        hashes=hashes,
        dropped={},
        leaks={},
    )
    return part, len(task.train) - len(kept)
