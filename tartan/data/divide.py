"""Make the splits that files lack: stratified, identical texts together, as a seed says."""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from tartan.batch import LabelKind
from tartan.data.digests import row_digest
from tartan.data.labels import check_label_type, label_name
from tartan.data.nested import cover, nested_order, strata_of_labels
from tartan.data.rows import Example, Label
from tartan.errors import ConfigError, DataError, shown
from tartan.sizes import counted
from tartan.spelling import spelled

LISTED = 5
"""Labels that are named at most."""


class TooFewRowsError(DataError):
    """Rows that cannot be divided into splits."""


@dataclass
class SplitOptions:
    """Sizes of splits that are made because there is no file of them.

    Attributes:
        dev: share of the rows, or from 1 their number.
        test: likewise.
        seed: which rows; not the run's seed, so that runs share the splits.
    """

    dev: float = 0.15
    test: float = 0.15
    seed: int = 0


@dataclass(frozen=True)
class Division:
    """Which rows of a file are in which split.

    Attributes:
        file: the files that were divided.
        seed: of the division.
        rows: by split, the numbers of its rows, counted from 0 in the order of the files.
        together: number of groups of identical texts, each in one split.
        absent: labels that a split lacks, because they occur in too few different texts.
    """

    file: str
    seed: int
    rows: Mapping[str, Sequence[int]]
    together: int
    absent: Mapping[str, Sequence[str]]

    def notices(self) -> list[str]:
        """Return what was made, a sentence each."""
        made = [f"{split} {len(rows)}" for split, rows in self.rows.items()]
        groups = counted(self.together, "group")
        lines = [
            f"{self.file} was divided into {', '.join(made)} rows: stratified, "
            f"{groups} of identical texts kept together, data.split.seed={self.seed}."
        ]
        for split, labels in self.absent.items():
            named = ", ".join(f"'{shown(spelled(label))}'" for label in labels[:LISTED])
            more = f" and {len(labels) - LISTED} more" if len(labels) > LISTED else ""
            lines.append(f"{split} has no row with {named}{more}: too few different texts.")
        return lines

    def of(self, split: str, numbered: Iterable[tuple[int, Example]]) -> Iterator[Example]:
        """Yield the rows of a split from all rows with their numbers."""
        wanted = iter(self.rows[split])
        chosen = next(wanted, None)
        for number, example in numbered:
            if number == chosen:
                yield example
                chosen = next(wanted, None)


def divide(
    file: str,
    numbered: Iterable[tuple[int, Example]],
    kind: LabelKind,
    made: Sequence[str],
    options: SplitOptions,
) -> Division:
    """Divide rows into train and the splits that are to be made.

    Rows with the same texts, up to white space, form a group, which has the labels of its rows.
    Groups are put in a stratified order; train takes its beginning, so that every label occurs
    in train. Of the texts, only digests are kept.

    Args:
        file: what they were read from.
        numbered: all rows that have a label, with their numbers in the file.
        kind: the kind of their labels.
        made: `dev`, `test` or both.
        options: sizes and seed.

    Raises:
        ConfigError: a size cannot be used.
        TooFewRowsError: there are too few different texts.
        DataError: a row cannot be used.
    """
    check_sizes(made, options)
    numbers, groups, found, labels = _grouped(numbered)
    total = len(groups)
    sizes = {split: _size(getattr(options, split), total) for split in made}
    order, each = _ordered(found, kind, options.seed)
    members = Counter(groups)
    places = _places(order, members, total, sizes)
    rows = {split: array("q") for split in ("train", *made)}
    of_splits = {split: array("q") for split in rows}
    for position, group in enumerate(groups):
        rows[places[group]].append(numbers[position])
        of_splits[places[group]].append(position)
    least = 1 if each is None else len(cover(each, order))
    wrong = next((split for split in made if not rows[split]), None)
    if wrong or len(order) - sum(places[g] != "train" for g in range(len(order))) < least:
        raise TooFewRowsError(
            f"{file}: {counted(total, 'row')} with {counted(len(found), 'different text')} and "
            f"{counted(len(set(chain.from_iterable(found))), 'label')} are too few to make "
            f"{' and '.join(made)} of: add rows, set data.split.{made[0]}, or give "
            f"{' and '.join(f'data.{s}' for s in made)} as files"
        )
    together = sum(count > 1 for count in members.values())
    return Division(file, options.seed, rows, together, _absent(of_splits, labels, kind, made))


def _ordered(
    found: Sequence[Sequence[Label]], kind: LabelKind, seed: int
) -> tuple[list[int], list[frozenset[Label]] | None]:
    """Return groups in a stratified order, and the labels of each; None for numbers."""
    if kind is LabelKind.NUMBER:
        strata = strata_of_labels([labels[0] for labels in found], kind)
        return nested_order(strata, seed, "split", random_start=True), None
    strata = strata_of_labels(found, LabelKind.SETS)
    each = [frozenset(labels) for labels in found]
    return nested_order(strata, seed, "split", labels=each, random_start=True), each


def check_sizes(made: Sequence[str], options: SplitOptions) -> None:
    """Raise ConfigError unless sizes leave rows to train on."""
    for split in made:
        size = getattr(options, split)
        if size <= 0 or (size > 1 and size != int(size)):
            raise ConfigError(
                f"data.split.{split}={size:g}: give a share of the rows above 0 and below 1, or "
                "their number"
            )
    shares = [getattr(options, split) for split in made if getattr(options, split) < 1]
    if sum(shares) >= 1:
        raise ConfigError(
            f"data.split.dev={options.dev:g} and data.split.test={options.test:g} leave no rows to "
            "train on: make them smaller"
        )


def _size(given: float, total: int) -> int:
    """Return a number of rows: at least one."""
    return int(given) if given >= 1 else max(1, round(given * total))


def _grouped(
    numbered: Iterable[tuple[int, Example]],
) -> tuple[Sequence[int], Sequence[int], list[list[Label]], list[Label]]:
    """Return each row's number, each row's group, each group's labels, and each row's label.

    DataError where labels are of different types.
    """
    found: dict[bytes, int] = {}
    numbers, groups = array("q"), array("q")
    of_groups, labels = list[list[Label]](), list[Label]()
    known: dict[Label, Label] = {}  # one object for equal labels
    first: Example | None = None
    for number, example in numbered:
        first = first or example
        check_label_type(example, first)
        group = found.setdefault(row_digest(example.texts), len(found))
        label = known.setdefault(example.label, example.label)
        if group == len(of_groups):
            of_groups.append([])
        of_groups[group].extend(label if isinstance(label, tuple) else (label,))
        numbers.append(number)
        groups.append(group)
        labels.append(label)
    return numbers, groups, of_groups, labels


def _places(
    order: Sequence[int], members: Mapping[int, int], total: int, sizes: Mapping[str, int]
) -> dict[int, str]:
    """Return the split of each group: train takes the beginning of the order."""
    ends = {"train": total - sum(sizes.values())}
    for split, size in sizes.items():
        ends[split] = max(ends.values()) + size
    remaining = iter(order)
    places: dict[int, str] = {}
    count = 0
    for split, end in ends.items():
        while count < end and (group := next(iter(islice(remaining, 1)), None)) is not None:
            places[group] = split
            count += members[group]
    return places


def _absent(
    rows: Mapping[str, Sequence[int]],
    labels: Sequence[Label],
    kind: LabelKind,
    made: Sequence[str],
) -> dict[str, list[str]]:
    """Return the labels that each made split lacks."""
    if kind is LabelKind.NUMBER:
        return {}
    names = [_names(label) for label in labels]
    every = {name for each in names for name in each}
    lacking = {s: sorted(every - {n for row in rows[s] for n in names[row]}) for s in made}
    return {split: missing for split, missing in lacking.items() if missing}


def _names(label: Label) -> tuple[str, ...]:
    """Return the names of a row's labels."""
    return tuple(map(label_name, label if isinstance(label, tuple) else (label,)))
