"""What the user should know of a task's data before a run starts, a sentence each."""

from collections.abc import Mapping, Sequence
from itertools import islice

from tartan.batch import LabelKind
from tartan.data.alike import groups_alike
from tartan.data.cells import reads_as_missing
from tartan.data.reader import Counts
from tartan.data.task import Task, count_labels
from tartan.data.tokenizing import Tokenized
from tartan.errors import shown
from tartan.sizes import counted
from tartan.spelling import spelled

LISTED = 5
"""Groups of labels that look alike that are named at most."""
MANY = 12
"""Labels that are listed with their counts at most."""


def subset_notices(task: Task) -> list[str]:
    """Return how many training rows keep their labels, where not all do."""
    subset = task.subset
    if subset is None:
        return []
    counts = ", ".join(
        f"{shown(spelled(label))} {count}" for label, count in islice(subset.labels.items(), MANY)
    )
    more = len(subset.labels) - MANY
    listed = f": {counts}{f' and {more} more' if more > 0 else ''}" if counts else ""
    return [
        f"{counted(len(task.train), 'training row')} of {subset.of} kept "
        f"{'its label' if len(task.train) == 1 else 'their labels'} "
        f"(data.labelled_seed={subset.seed}{listed}). The task corpus has the texts of all."
    ]


def corpus_notices(task: Task) -> list[str]:
    """Return how many texts were left out of each corpus."""
    return [
        f"{counted(count, 'text')} of the {corpus} corpus also {_appear(count)} in dev or test and "
        f"{'was' if count == 1 else 'were'} left out."
        for corpus, count in task.dropped.items()
        if count
    ]


def leak_notices(task: Task) -> list[str]:
    """Return how many rows were seen before, which inflates scores."""
    other = {"train": "dev or test", "test": "dev"}
    return [
        f"{counted(count, f'{split} row')} also {_appear(count)} in {other[split]}. "
        f"{'It was' if count == 1 else 'They were'} kept; scores may be inflated."
        for split, count in task.leaks.items()
        if count
    ]


def label_notices(task: Task) -> list[str]:
    """Return which labels contradict each other, look alike, or may mean that one is missing."""
    notices = []
    if task.conflicts:
        notices.append(
            f"{counted(task.conflicts, 'train row')} have the same text as another row and another "
            "label. They were kept."
        )
    if task.kind is LabelKind.NUMBER:
        return notices
    alike = groups_alike(task.labels)
    missing = [label for label in task.labels if reads_as_missing(label)]
    if alike or missing:
        counts = count_labels(task, task.train)
        notices += [
            f"These labels look alike and are separate classes: {_listed(group, counts)}."
            for group in alike[:LISTED]
        ]
        if len(alike) > LISTED:
            notices.append(f"{counted(len(alike) - LISTED, 'more group')} of labels look alike.")
        notices += [
            f"Label {_listed([label], counts)} is a class name here; it does not mean that the "
            "label is missing."
            for label in missing
        ]
    return notices


def token_notices(tokenized: Mapping[str, Tokenized], longest: int) -> list[str]:
    """Return what tokenising lost.

    Args:
        tokenized: by name, of a split or corpus.
        longest: tokens of a row at most.
    """
    sentences: dict[str, None] = {}
    for name, part in tokenized.items():
        found = lost_notices(name, part.counts, longest, "neither trained on nor scored")
        sentences |= dict.fromkeys(found + ([part.notice] if part.notice else []))
    return list(sentences)


def lost_notices(name: str, counts: Counts, longest: int, words: str) -> list[str]:
    """Return what tokenising lost, a line each.

    Args:
        name: what was tokenised.
        counts: what was lost.
        longest: tokens of a row at most.
        words: what becomes of words that are lost.
    """
    texts = {
        f"cut to {longest} tokens": counts.truncated,
        "tokenised to nothing: the model reads special tokens alone": counts.empty,
        "tokenised to unknown tokens alone": counts.unknown,
    }
    found = [_were(count, "text", name, what) for what, count in texts.items() if count]
    if counts.lost_words:
        what = f"cut off or without a token: {words}"
        found.append(_were(counts.lost_words, "word", name, what))
    return found


def _listed(labels: Sequence[str], counts: Mapping[str, int]) -> str:
    """Return labels, spelled out, with how many rows or words of train have each."""
    return ", ".join(f"'{shown(spelled(label))}' ({counts[label]} in train)" for label in labels)


def _were(count: int, noun: str, name: str, what: str) -> str:
    """Return what became of texts or words of a split or corpus."""
    return f"{counted(count, noun)} of {name} {'was' if count == 1 else 'were'} {what}."


def _appear(count: int) -> str:
    return "appears" if count == 1 else "appear"
