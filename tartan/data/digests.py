"""Digests that identify texts, so that those of many rows can be kept in memory."""

import hashlib
from array import array
from collections.abc import Sequence

import torch


def normalise(text: str) -> str:
    """Return a text without its white space: joined words equal the text they come from.

    >>> normalise("as shown .") == normalise(" as  shown.")
    True
    """
    return "".join(text.split())


def digest(text: str) -> bytes:
    """Return 16 bytes that identify a text, up to white space."""
    return hashlib.blake2b(normalise(text).encode(), digest_size=16).digest()


def row_digest(texts: Sequence[str]) -> bytes:
    """Return 16 bytes that identify the texts of a row, up to white space."""
    return digest("\0".join(texts))


def short(found: bytes) -> int:
    """Return 8 bytes of a digest as a number, enough to count by."""
    return int.from_bytes(found[:8], "big", signed=True)


class Conflicts:
    """Counts the rows with the texts of another row and another label; keeps 16 bytes of each."""

    def __init__(self) -> None:
        self._texts, self._labelled = array("q"), array("q")

    def add(self, texts: Sequence[str], label: object) -> None:
        """Add a row. Labels are equal if their representations are."""
        found = row_digest(texts)
        self._texts.append(short(found))
        labelled = found + repr(label).encode()
        self._labelled.append(short(hashlib.blake2b(labelled, digest_size=16).digest()))

    def count(self) -> int:
        """Return how many of the rows have the texts of another row, and another label."""
        of_rows = torch.tensor(self._texts)
        different, which = torch.tensor(self._labelled).unique(return_inverse=True)
        # Each different row's texts; those that come twice have two labels.
        found, labels = different.scatter(0, which, of_rows).unique(return_counts=True)
        return int(torch.isin(of_rows, found[labels > 1]).sum())
