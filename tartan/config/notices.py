"""What the user should know of a run's data before it starts, a line each."""

from collections.abc import Mapping

from tartan.train.context import Texts


def end_task_notices(texts: Texts) -> list[str]:
    """What is left out of the end task's texts."""
    dropped = [
        f"{count} texts of the {corpus} corpus stand in dev or test and are left out"
        for corpus, count in texts.task.dropped.items()
        if count
    ]
    return dropped + _cut(texts)


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
    lines = ((name, line) for name, its in texts.items() for line in _cut(its))
    return notices + [f"objectives.{name}: {line}" for name, line in lines]


def _cut(texts: Texts) -> list[str]:
    """What the body's maximum length leaves out."""
    longest = texts.source.max_length
    notices = [
        f"{count} texts of {name} are longer than {longest} tokens and are cut"
        for name, count in texts.truncated.items()
    ]
    return notices + [
        f"{count} words of {name} have no token that is read: neither learned nor scored"
        for name, count in texts.lost_words.items()
    ]
