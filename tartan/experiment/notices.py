"""Collect what the user should know of a run's data before it starts, a line each."""

from collections.abc import Iterable, Mapping

from tartan.data.notices import (
    corpus_notices,
    label_notices,
    leak_notices,
    subset_notices,
    token_notices,
)
from tartan.sizes import counted
from tartan.train.context import Texts


def end_task_notices(texts: Texts) -> list[str]:
    """Return what is left out of the end task's texts, and what makes its labels doubtful."""
    task = texts.task
    lost = token_notices(texts.tokenized, texts.source.max_length)
    doubtful = corpus_notices(task) + leak_notices(task) + label_notices(task)
    return [*task.notes, *subset_notices(task), *doubtful, *lost]


def auxiliary_notices(dropped: Mapping[str, int], texts: Mapping[str, Texts]) -> list[str]:
    """Return what is left out of the data of auxiliary objectives on labels.

    Args:
        dropped: how many rows the end task's dev and test forbid, by objective.
        texts: what is left, by objective.
    """
    notices = [
        f"{counted(count, 'row')} of objectives.{name} also "
        f"{'appears' if count == 1 else 'appear'} in the end task's dev or test and "
        f"{'was' if count == 1 else 'were'} left out."
        for name, count in dropped.items()
        if count
    ]
    for name, its in texts.items():
        lost = token_notices(its.tokenized, its.source.max_length)
        labels = [*its.task.notes, *subset_notices(its.task), *label_notices(its.task)]
        notices += [f"objectives.{name}: {line}" for line in (*labels, *lost)]
    return notices


def unused_notices(configured: Iterable[str], trained: Iterable[str]) -> list[str]:
    """Name the auxiliary objectives that no stage trains."""
    unused = ", ".join(sorted(set(configured) - set(trained)))
    return [f"No stage trains {unused}: left out."] if unused else []
