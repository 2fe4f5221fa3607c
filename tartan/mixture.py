"""Several corpora for one objective, mixed by their sizes to the power of 1 / temperature.

The temperature of multilingual pre-training (Arivazhagan et al., 2019, arXiv:1907.05019, section
3.2): 1 samples every row equally often, larger temperatures favour small corpora, and in the limit
all corpora have the same share.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, overload

from tartan.batch import Row
from tartan.checks import check_range
from tartan.context import Context
from tartan.errors import ConfigError


@dataclass
class CorpusOptions:
    """Options of an objective on unlabelled text.

    Attributes:
        corpus: the corpus to read: `task`, the end task's texts, `domain`, or a list of these.
        mix_temperature: T of the mix of several corpora, at least 1: each is read in proportion to
            its number of rows to the power of 1/T.
    """

    corpus: Any = "task"
    mix_temperature: float = 1.0


class Mixture(Sequence[Row]):
    """The rows of several parts, one part after the other; a stream reads them in shares.

    Attributes:
        parts: the parts.
        counts: how many rows of each part an epoch of `len(mixture)` rows holds.
    """

    def __init__(self, parts: Sequence[Sequence[Row]], temperature: float) -> None:
        """Mix parts, each with at least one row; `temperature` is at least 1."""
        self.parts = parts
        sizes = [len(part) for part in parts]
        self.counts = shares(sizes, temperature)
        self.starts = [sum(sizes[:number]) for number in range(len(sizes))]

    def __len__(self) -> int:
        """Return the number of rows of all parts."""
        return self.starts[-1] + len(self.parts[-1])

    @overload
    def __getitem__(self, index: int) -> Row: ...

    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...

    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        """Return a row, or the rows of a slice."""
        if isinstance(index, slice):
            return self.__getitems__(list(range(*index.indices(len(self)))))
        if not -len(self) <= index < len(self):
            raise IndexError(f"row {index} of {len(self)}")
        part, row = self._place(index % len(self))
        found: Row = self.parts[part][row]
        return found

    def __getitems__(self, indices: Sequence[int]) -> list[Row]:
        """Return rows, reading each part once."""
        places = [self._place(index) for index in indices]
        rows: dict[tuple[int, int], Row] = {}
        for number, part in enumerate(self.parts):
            wanted = [row for place, row in places if place == number]
            fetch: Any = getattr(part, "__getitems__", None)
            read = fetch(wanted) if fetch and wanted else [part[row] for row in wanted]
            rows |= {(number, row): value for row, value in zip(wanted, read, strict=True)}
        return [rows[place] for place in places]

    def _place(self, index: int) -> tuple[int, int]:
        """Return the part of a row and its index there."""
        part = max(n for n, start in enumerate(self.starts) if start <= index)
        return part, index - self.starts[part]


def shares(sizes: Sequence[int], temperature: float) -> list[int]:
    """Return how many of `sum(sizes)` rows each part supplies, proportional to size^(1/T).

    Shares are rounded to rows by largest remainders. None is 0, as T is at least 1.

    >>> shares([100, 900], 1), shares([100, 900], 2)
    ([100, 900], [250, 750])
    """
    total, weights = sum(sizes), [size ** (1 / temperature) for size in sizes]
    exact = [total * weight / sum(weights) for weight in weights]
    counts = [int(share + 1e-9) for share in exact]
    by_remainder = sorted(range(len(sizes)), key=lambda part: counts[part] - exact[part])
    for part in by_remainder[: total - sum(counts)]:
        counts[part] += 1
    return counts


def read_corpora(context: Context, options: CorpusOptions) -> Sequence[Row]:
    """Return the rows of one corpus, or a mixture of several.

    Args:
        context: the objective's.
        options: the objective's.

    Raises:
        ConfigError: the options have no meaning.
        DataError: there is no such corpus.
    """
    where = context.section
    corpus, temperature = options.corpus, options.mix_temperature
    check_range(f"{where}.mix_temperature", temperature, "[1, inf)")
    names = corpus if isinstance(corpus, list) else [corpus]
    if not names or not all(isinstance(name, str) and name for name in names):
        raise ConfigError(f"{where}.corpus={corpus}: give task, domain or a list of both.")
    if len(set(names)) < len(names):
        raise ConfigError(f"{where}.corpus={corpus}: name each corpus once.")
    if temperature != 1 and len(names) == 1:
        raise ConfigError(
            f"{where}.mix_temperature={temperature} mixes several corpora, and {where}.corpus is "
            f"{names[0]}: set '{where}.corpus=[task,domain]'."
        )
    parts = [context.corpus(name) for name in names]
    return parts[0] if len(parts) == 1 else Mixture(parts, temperature)
