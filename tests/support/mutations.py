"""Valid task directories, and what can be wrong with one file of them."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any

from tartan import LabelKind

WORDS = ("red", "green", "blue", "naïve", "日本", "😀", "it's", "a\tb", "x" * 40)

Row = dict[str, Any]


def tagged(random: Random, label: int) -> Row:
    words = [*random.sample(WORDS, 4), f"word{label}"]
    return {"tokens": words, "tags": ["O", "B-X", "I-X", "O", f"B-{label}"]}


def scored(random: Random, label: int) -> Row:
    return {"text": text(random), "label": label + random.random()}


def classed(random: Random, label: int) -> Row:
    return {"text": text(random), "label": ["yes", "no"][label], "metadata": {"n": [1, None]}}


def numbered(random: Random, label: int) -> Row:
    return {"text": text(random), "text_pair": text(random), "label": label}


def text(random: Random) -> str:
    return " ".join(random.choices(WORDS, k=random.randint(2, 9))) + f" {random.random()}"


TASKS: Mapping[str, tuple[LabelKind, Callable[[Random, int], Row]]] = {
    "classes": (LabelKind.CLASS, classed),
    "pairs": (LabelKind.CLASS, numbered),
    "numbers": (LabelKind.NUMBER, scored),
    "tags": (LabelKind.TAGS, tagged),
}
FILES = ("train.jsonl", "dev.jsonl", "test.jsonl", "unlabelled.txt", "domain.txt")


def write(directory: Path, task: str) -> None:
    """A task that is accepted."""
    random = Random(task)
    _, row = TASKS[task]
    directory.mkdir(parents=True)
    for name in FILES:
        rows = [row(random, n % 2) for n in range(8)]
        lines = [json.dumps(r, ensure_ascii=bool(n % 2)) for n, r in enumerate(rows)]
        if name.endswith(".txt"):
            lines = [text(random) for _ in range(8)]
        (directory / name).write_bytes("".join(line + "\n" for line in lines).encode())


def mutate(content: bytes, random: Random) -> bytes:
    """A file with one to three things done to it."""
    for _ in range(random.choice((1, 1, 2, 3))):
        content = random.choice(MUTATIONS)(content, random)
    return content


def flip(content: bytes, random: Random) -> bytes:
    """Some bits flipped."""
    changed = bytearray(content)
    for _ in range(random.choice((1, 1, 3, 20))):
        if changed:
            changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def insert(content: bytes, random: Random) -> bytes:
    """Something put in, at random or at the beginning."""
    here = random.choice((0, random.randint(0, len(content))))
    return content[:here] + random.choice(INSERTED) + content[here:]


INSERTED = (
    b"\0", b"\r", b"\r\n", b"\n\n", b"\x1b[31m", b"\x7f", b"\xff\xfe", b"\xef\xbb\xbf", b"\xc3",
    b"\xed\xa0\x80", b"\xf4\x90\x80\x80", "\u2028\x85\u202e".encode(), b"[" * 100_000, b"9" * 5000,
    b'{"a":' * 3000, b"x" * 1_000_000, b" " * 1_000_000, b'"', b"}", b"{", b",", b"\\", b"NaN",
)  # fmt: skip


def truncate(content: bytes, random: Random) -> bytes:
    """An end, or a part inside, missing."""
    start = random.randint(0, len(content))
    return content[:start] + random.choice((b"", content[random.randint(start, len(content)) :]))


def recode(content: bytes, random: Random) -> bytes:
    """Another encoding."""
    encoding = random.choice(("utf-16", "utf-16-le", "utf-32", "latin-1", "cp1252", "utf-8-sig"))
    return content.decode(errors="replace").encode(encoding, errors="replace")


def rearrange(content: bytes, random: Random) -> bytes:
    """Lines doubled, removed, swapped, joined, or ended otherwise."""
    lines = content.split(b"\n")
    kind = random.randrange(6)
    here, there = random.randrange(len(lines)), random.randrange(len(lines))
    if kind == 0:
        lines.insert(here, lines[there])
    elif kind == 1:
        lines = lines[:here] + lines[there:]
    elif kind == 2:
        lines[here], lines[there] = lines[there], lines[here]
    elif kind == 3:
        return random.choice((b"", b" ", b"\r", b"\x0b", b"\x1e")).join(lines)
    elif kind == 4:
        return b"\r\n".join(lines)
    else:
        lines *= random.choice((2, 50))
    return b"\n".join(lines)


def retype(content: bytes, random: Random) -> bytes:
    """A field of a row removed, doubled, renamed, or of another type."""
    lines = content.split(b"\n")
    here = random.randrange(len(lines))
    try:
        row = json.loads(lines[here])
        name = random.choice(list(row))
    except (ValueError, TypeError, IndexError, RecursionError):
        return content
    fields = [(json.dumps(key), json.dumps(value)) for key, value in row.items()]
    changed = list(_retyped(fields, json.dumps(name), random))
    lines[here] = ("{" + ", ".join(f"{key}: {value}" for key, value in changed) + "}").encode()
    return b"\n".join(lines)


def _retyped(fields: list[tuple[str, str]], name: str, random: Random) -> Iterator[tuple[str, str]]:
    kind = random.randrange(5)
    for key, value in fields:
        if key != name or kind == 0:
            yield key, value
        if key == name and kind == 1:
            yield key, value
            yield key, random.choice(VALUES)
        if key == name and kind == 2:
            yield (
                random.choice(('"txt"', '"te\\nxt"', '"\\ud800"', '""', '"' + "k" * 999 + '"')),
                value,
            )
        if key == name and kind > 2:
            yield key, random.choice(VALUES)


VALUES = (
    "null", "true", "false", "0", "-1", "1.0", "1e999", "-1e999", "NaN", "Infinity", '""', '" "',
    '"\\u0000"', '"\\ud83d"', '"a\\nb"', '"\\u001b[2J"', "[]", "{}", "[1]", '["a"]', '[["a"]]',
    '["a", ""]', '["a", null]', '{"text": "a"}', "9" * 400, "9" * 5000, "[" * 500 + "]" * 500,
    "[" * 50_000 + "]" * 50_000, '"' + "y" * 100_000 + '"', '"' + "z " * 50_000 + '"', '"\u200b"',
)  # fmt: skip

MUTATIONS = (flip, insert, truncate, recode, rearrange, retype, retype, retype)
