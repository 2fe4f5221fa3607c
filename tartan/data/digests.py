"""Digests that stand for texts, so that those of many rows can be kept in memory."""

import hashlib
from collections.abc import Sequence

import numpy as np


def normalise(text: str) -> str:
    """A text without its white space: tagged words that were joined equal the text they are of.

    >>> normalise("as shown .") == normalise(" as  shown.")
    True
    """
    return "".join(text.split())


def digest(text: str) -> bytes:
    """16 bytes that stand for a text, up to white space."""
    return hashlib.blake2b(normalise(text).encode(), digest_size=16).digest()


def row_digest(texts: Sequence[str]) -> bytes:
    """16 bytes that stand for the texts of a row, up to white space."""
    return digest("\0".join(texts))


def short(whole: bytes) -> int:
    """8 bytes of a digest, enough to count by."""
    return int.from_bytes(whole[:8], "big", signed=True)


def conflicts(texts: Sequence[int], labelled: Sequence[int]) -> int:
    """How many rows have the texts of another row, and another label.

    Args:
        texts: of each row, a number that stands for its texts.
        labelled: of each row, a number that stands for its texts and its label.
    """
    pairs = np.unique(np.stack([np.asarray(texts), np.asarray(labelled)]), axis=1)
    found, labels = np.unique(pairs[0], return_counts=True)
    return int(np.isin(np.asarray(texts), found[labels > 1]).sum())
