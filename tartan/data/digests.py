"""Digests that stand for texts, so that those of many rows can be kept in memory."""

import hashlib
from collections.abc import Sequence

import torch


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
        texts: [rows], numbers that stand for their texts.
        labelled: [rows], numbers that stand for their texts and their labels.
    """
    of_rows = torch.tensor(texts)
    different, which = torch.tensor(labelled).unique(return_inverse=True)
    # Each different row's texts; those that come twice have two labels.
    found, labels = different.scatter(0, which, of_rows).unique(return_counts=True)
    return int(torch.isin(of_rows, found[labels > 1]).sum())
