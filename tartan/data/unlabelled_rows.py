"""Training rows without a label: counted where they are refused, or read as texts."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tartan.batch import LabelKind
from tartan.checks import check_choice
from tartan.data.cells import MissingLabelError
from tartan.data.table_rows import Selected, unlabelled_rows
from tartan.data.text_columns import checked
from tartan.errors import ConfigError, DataError

MISSING = ("refuse", "unlabelled")
"""What is done with training rows that have no label: `data.missing`."""


@dataclass(frozen=True)
class Unlabelled:
    """Those rows of a split that have no label.

    Attributes:
        rows: all rows of the split.
        labels: the kind of labels.
        size: counts all rows.
    """

    rows: Selected
    labels: LabelKind
    size: Callable[[], int]

    def texts(self) -> Iterator[str]:
        """Yield the texts of rows that are left out; blank ones are not texts.

        Raises:
            DataError: a text cannot be used.
        """
        if not self.rows.skip:
            return
        names = [name for role in ("text", "pair") if (name := self.rows.columns.get(role))]
        for number, row in unlabelled_rows(self.rows, self.labels):
            for name in names:
                text = checked(row.values.get(name), self.rows.at(number, row))
                if text is not None:
                    yield text

    def notices(self) -> list[str]:
        """Return how many rows are read as texts, in one sentence; none if no row is."""
        if not self.rows.skip or not (count := self._count()):
            return []
        return [
            f"Rows without a label: {count} of {self.size()}. They are texts of the task "
            f"(data.missing={MISSING[1]})."
        ]

    def refusal(self, error: MissingLabelError) -> DataError:
        """Return the error for the first row without a label: how many there are, and a remedy."""
        remedy = "Fill or remove them"
        if self.rows.train and self.labels is not LabelKind.TAGS:
            remedy += f", or set data.missing={MISSING[1]} to read their texts without labels"
        return DataError(
            f"{error.place}: {error.what}. Rows without a label: {self._count()} of "
            f"{self.size()}. {remedy}"
        )

    def _count(self) -> int:
        """Return the number of rows without a label."""
        return sum(1 for _ in unlabelled_rows(self.rows, self.labels))


def check_missing(way: str, labels: LabelKind) -> None:
    """Raise ConfigError unless rows with labels of a kind can be read in a way."""
    check_choice("data.missing", way, MISSING)
    if way != MISSING[0] and labels is LabelKind.TAGS:
        raise ConfigError(
            f"data.missing={way} is for labels of texts, not for tags of words: remove rows "
            "without tags"
        )
