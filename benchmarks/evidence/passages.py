"""Split texts into passages of complete sentences, as domain.txt holds them.

    python -m benchmarks.evidence.passages TEXTS DOMAIN_TXT

A passage has at most 45 words, unless one sentence has more. Passages below 8 words are left out.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

MOST, FEWEST = 45, 8
"""Words of a passage: 45 are about 64 tokens."""
SENTENCE = re.compile(r"(?<=[.!?]) (?=[A-Z0-9])")
"""Where a sentence ends."""


def passages(text: str) -> Iterator[str]:
    """Split a text on one line into passages."""
    words: list[str] = []
    for sentence in SENTENCE.split(text.strip()):
        more = sentence.split()
        if words and len(words) + len(more) > MOST:
            yield " ".join(words)
            words = []
        words = words + more
    yield " ".join(words)


def domain_of(texts: Path, domain: Path) -> tuple[int, int]:
    """Write the passages of texts, one a line; return how many, and their words."""
    lines = texts.read_text("utf-8").splitlines()
    found = [one for text in lines for one in passages(text) if one.count(" ") + 1 >= FEWEST]
    domain.write_text("".join(f"{one}\n" for one in found), encoding="utf-8")
    return len(found), sum(one.count(" ") + 1 for one in found)


if __name__ == "__main__":
    count, words = domain_of(Path(sys.argv[1]), Path(sys.argv[2]))
    print(f"{count} passages, {words} words")
