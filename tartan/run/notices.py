"""What the user should know of a run's data before it starts, a line each."""

from collections.abc import Iterable, Mapping

from tartan.data import Task
from tartan.train.context import Texts


def end_task_notices(texts: Texts) -> list[str]:
    """What is left out of the end task's texts, and what makes its labels doubtful."""
    task = texts.task
    dropped = [
        f"{count} texts of the {corpus} corpus stand in dev or test and are left out"
        for corpus, count in task.dropped.items()
        if count
    ]
    return dropped + _leaks(task) + _conflicts(task) + _cut(texts)


def auxiliary_notices(dropped: Mapping[str, int], texts: Mapping[str, Texts]) -> list[str]:
    """What is left out of the data of auxiliary objectives on labels.

    Args:
        dropped: how many rows the end task's dev and test forbid, by objective.
        texts: what is left, by objective.
    """
    notices = [
        f"{count} rows of objectives.{name} stand in the end task's dev or test and are left out"
        for name, count in dropped.items()
        if count
    ]
    lines = (
        (name, line) for name, its in texts.items() for line in (*_conflicts(its.task), *_cut(its))
    )
    return notices + [f"objectives.{name}: {line}" for name, line in lines]


def unused_notices(configured: Iterable[str], trained: Iterable[str]) -> list[str]:
    """Name the auxiliary objectives that no stage trains."""
    unused = ", ".join(sorted(set(configured) - set(trained)))
    return [f"No stage trains {unused}: left out."] if unused else []


def _leaks(task: Task) -> list[str]:
    """Where scores come from rows that were seen before."""
    other = {"train": "dev or test", "test": "dev"}
    return [
        f"{count} rows of {split} have texts that {other[split]} has as well: they are kept, and "
        "scores flatter"
        for split, count in task.leaks.items()
        if count
    ]


def _conflicts(task: Task) -> list[str]:
    """Where labels contradict each other."""
    if not task.conflicts:
        return []
    return [
        f"{task.conflicts} rows of train have the texts of another one and another label: they are "
        "kept"
    ]


def _cut(texts: Texts) -> list[str]:
    """What the body's maximum length leaves out, and what had to be read anew."""
    longest = texts.source.max_length
    notices = [
        f"{count} texts of {name} are longer than {longest} tokens and are cut"
        for name, count in texts.truncated.items()
    ]
    return (
        notices
        + [
            f"{count} words of {name} have no token that is read: neither learned nor scored"
            for name, count in texts.lost_words.items()
        ]
        + [f"{place} was damaged and has been made anew" for place in texts.damaged]
    )
