"""The labelled rows of files, split by split."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tartan.batch import LabelKind
from tartan.data.cells import MissingLabelError
from tartan.data.label_sets import SEPARATORS, IndicatorTable
from tartan.data.rows import Example
from tartan.data.table_rows import Selected, read_numbered
from tartan.data.tables import Table
from tartan.data.unlabelled_rows import MISSING, Unlabelled


@dataclass(frozen=True)
class LabelledFiles:
    """The labelled rows that were found.

    Attributes:
        tables: by split.
        files: the names of each split's files, the first of many, for error lines.
        columns: by role, the same in every split.
        ignored: likewise, files that were not read.
        separator: what separates labels in a string, where a row may have several; None if no
            option names it and no string of train has several labels.
        missing: what is done with training rows that have no label: one of `MISSING`.
    """

    tables: Mapping[str, Table]
    files: Mapping[str, str]
    columns: Mapping[str, str]
    ignored: str
    separator: str | None = None
    missing: str = MISSING[0]

    def read(self) -> dict[str, str | list[str]]:
        """Return the columns that are read, by role: a list where each label has one of its own."""
        table = self.tables["train"]
        if not isinstance(table, IndicatorTable):
            return dict(self.columns)
        return {**self.columns, "label": list(table.names)}

    def examples(self, split: str, labels: LabelKind) -> Iterator[Example]:
        """Yield the rows of a split as `numbered` does, without their numbers."""
        return (example for _, example in self.numbered(split, labels))

    def numbered(
        self, split: str, labels: LabelKind, known: bool = False
    ) -> Iterator[tuple[int, Example]]:
        """Yield the rows of a split with their numbers. DataError at the first that is unusable.

        Args:
            split: its name.
            labels: the kind of labels.
            known: whether the classes are known, so that `NA` is no missing label.
        """
        unlabelled = self.unlabelled(labels, split, known)
        try:
            yield from read_numbered(unlabelled.rows, labels)
        except MissingLabelError as error:
            raise unlabelled.refusal(error) from None

    def unlabelled(
        self, labels: LabelKind, split: str = "train", known: bool = False
    ) -> Unlabelled:
        """Return the rows of a split that have no label; arguments are those of `numbered`."""
        table, trained = self.tables[split], split == "train" and not known
        selected = Selected(
            lambda: table.rows(list(dict.fromkeys(self.columns.values()))),
            self.columns,
            self.files[split],
            table.features,
            table.typed,
            trained,
            "data.{}",
            self.separator or SEPARATORS[0],
            trained and self.missing == MISSING[1],
        )
        return Unlabelled(selected, labels, table.size)


def quoted_names(columns: str | list[str]) -> str:
    """Return the columns of a role, in quotes.

    >>> quoted_names("label"), quoted_names(["toxic", "insult"])
    ("'label'", "'toxic', 'insult'")
    """
    return ", ".join(f"'{name}'" for name in ([columns] if isinstance(columns, str) else columns))
