"""Data files as real programs and people write them, by class of what is unusual about them."""

import csv
import io
import json
from collections.abc import Callable, Mapping
from random import Random
from typing import Any, NamedTuple

Rows = list[dict[str, Any]]

FORMATS = ("csv", "tsv", "jsonl", "json")
WORDS = ("red", "blue", "naïve", "日本", "😀", "it's", "5 %", "a,b", "x;y")


class Mutation(NamedTuple):
    """A training file.

    Attributes:
        content: the file.
        label: one that stands in it, for dev and test.
    """

    content: bytes
    label: Any


def mutated(kind: str, format: str, seed: int) -> Mutation:
    """Return a file of a format that is unusual in one way."""
    random = Random(f"{kind} {format} {seed}")
    rows: Rows = [
        {"text": f"{random.choice(WORDS)} text {n} {random.choice(WORDS)}", "label": f"l{n % 2}"}
        for n in range(8)
    ]
    change = KINDS[kind]
    changed = change(rows, random, format)
    content = changed if isinstance(changed, bytes) else written(rows, format)
    return Mutation(content, rows[0]["label"])


def written(rows: Rows, format: str) -> bytes:
    """Return rows as the standard library writes them."""
    if format in ("csv", "tsv"):
        file = io.StringIO(newline="")
        writer = csv.DictWriter(
            file, ["text", "label"], delimiter=SEPARATORS[format], extrasaction="ignore"
        )
        writer.writeheader()
        writer.writerows(rows)
        return file.getvalue().encode("utf-8", "surrogatepass")
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    text = "\n".join(lines) + "\n" if format == "jsonl" else json.dumps(rows, ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass")


def read_independently(content: bytes, format: str) -> list[tuple[Any, Any]]:
    """Return texts and labels as the standard library reads them."""
    text = content.decode("utf-8-sig").lstrip("\r\n")
    rows: Any
    if format in ("csv", "tsv"):
        file = io.StringIO(text, newline="")
        rows = list(csv.DictReader(file, delimiter=SEPARATORS[format], strict=True))
    elif format == "json" and text.lstrip().startswith("["):
        rows = json.loads(text)
    else:
        rows = [json.loads(line.lstrip("\ufeff")) for line in text.split("\n") if line.strip()]
    return [(row["text"], row["label"]) for row in rows]


SEPARATORS = {"csv": ",", "tsv": "\t"}
Change = Callable[[Rows, Random, str], bytes | None]
"""Changes rows in place, or returns a file."""


def encoding(rows: Rows, random: Random, format: str) -> bytes:
    """Another encoding, or a file that is cut inside a character."""
    rows[3]["text"] = "café Größe"
    names = ("cp1252", "latin-1", "utf-16", "utf-16-le", "utf-32", "mac-roman", "gb18030", "cut")
    name = random.choice(names)
    content = written(rows, format)
    if name == "cut":
        return content[: content.index("é".encode()) + 1]
    return content.decode().encode(name, "replace")


def marks(rows: Rows, random: Random, format: str) -> bytes:
    """Byte order marks: one, two, or one inside."""
    mark = "\ufeff".encode()
    content = written(rows, format)
    middle = content.index(b"\n") + 1 if b"\n" in content else len(content)
    return random.choice(
        (mark + content, mark + mark + content, content[:middle] + mark + content[middle:])
    )


def missing(rows: Rows, random: Random, format: str) -> None:
    """A value that is missing, or a word that some programs read as one."""
    words = ["", " ", "NA", "None", "null", "nan", "N/A", "-", "#N/A"]
    rows[random.randrange(8)][random.choice(("text", "label"))] = random.choice(
        words if "sv" in format else [*words, None]
    )


def alike(rows: Rows, random: Random, format: str) -> None:
    """Labels that look alike."""
    forms = [("Uses", "Uses "), ("Uses", "uses"), ("é", "e\u0301"), ("a b", "a\u00a0b"),
             ("ab", "a\u200bb"), ("A", "\uff21"), ("1", "1.0"), ("7", "007")]  # fmt: skip
    for row, label in zip(rows, random.choice(forms) * 4, strict=True):
        row["label"] = label


def odd(rows: Rows, random: Random, format: str) -> None:
    """One value of another type."""
    values = [12345, 1.5, True, None, ["a"], {"a": 1}, "[1]", '"x"', 0, -1]
    rows[random.randrange(1, 8)][random.choice(("text", "label"))] = random.choice(values)


def long(rows: Rows, random: Random, format: str) -> None:
    """A very long word, or text."""
    rows[4]["text"] = random.choice(("x" * 200_000, "日" * 100_000, "word " * 50_000))


def label_types(rows: Rows, random: Random, format: str) -> None:
    """Labels that programs take for something else than strings."""
    pairs = [("007", "013"), ("1.0", "2.0"), ("True", "False"), ("2020-01-02", "2020-01-03"),
             ("1e3", "2e3"), (1, 0), (True, False), ("NA", "EU"), ("1", "10")]  # fmt: skip
    for row, label in zip(rows, random.choice(pairs) * 4, strict=True):
        row["label"] = label


def line_ends(rows: Rows, random: Random, format: str) -> bytes:
    """Other ends of lines, blank lines, none at the end."""
    content = written(rows, format).replace(b"\r\n", b"\n")
    lines = content.split(b"\n")
    end = random.choice((b"\r\n", b"\r", b"\n\n", b"\r\n\r\n"))
    joined = end.join(lines)
    return random.choice((joined, joined.rstrip(), b"\n\n" + content, content.rstrip()))


def duplicates(rows: Rows, random: Random, format: str) -> bytes | None:
    """A row, or a column, that stands twice."""
    if random.random() < 0.5:
        rows.insert(5, dict(rows[random.randrange(8)]))
        return None
    content = written(rows, format)
    if "sv" in format:
        separator = SEPARATORS[format].encode()
        lines = [line + separator + b"text" for line in content.split(b"\r\n") if line]
        return b"\r\n".join(lines)
    return content.replace(b'"label"', b'"text"', 1)


def empty(rows: Rows, random: Random, format: str) -> bytes:
    """Nothing, or hardly anything."""
    return random.choice(
        (b"", b"\n", b"  \n\t\n", b"text,label\n", b"[]", b"{}", b"[{}]", b"null", b'""', b",\n,\n")
    )


def huge(rows: Rows, random: Random, format: str) -> None:
    """Numbers too large for a type."""
    numbers = ["9" * 400, "1e999", "-1e999", "9" * 5000, "0" * 50]
    if "sv" not in format:
        numbers += [10**400, 1e308, 2**63, -(2**63) - 1]
    rows[2]["label"] = random.choice(numbers)


def quotes(rows: Rows, random: Random, format: str) -> bytes | None:
    """Quotes and backslashes, in their place or not."""
    texts = ('say "hi"', '"', '""', "\\", '\\"', "a\nb", 'a"\n"b', "'", '"a",b')
    rows[4]["text"] = random.choice(texts)
    if random.random() < 0.5:
        return None
    content = written(rows, format)
    place = random.randrange(content.index(b"\n") if b"\n" in content else 0, len(content))
    return content[:place] + random.choice((b'"', b'""', b"\\", b"'")) + content[place:]


def characters(rows: Rows, random: Random, format: str) -> None:
    """Characters that split lines, hide, change direction, or are half of one."""
    hidden = ("\u2028", "\x85", "\x1c", "\u202e", "\u200b", "\x1b[31m", "\x7f", "\0", "\ud800",
              "\U0010ffff", "e\u0301", "\ufffd", "\t", "\v", "\f")  # fmt: skip
    rows[4][random.choice(("text", "label"))] = f"a{random.choice(hidden)}b"


def separators(rows: Rows, random: Random, format: str) -> bytes:
    """Other separators, or cells too many or too few."""
    content = written(rows, format)
    if "sv" not in format:
        return content.replace(b",", random.choice((b";", b"", b",,")), random.randint(1, 3))
    separator = SEPARATORS[format].encode()
    if random.random() < 0.5:
        return content.replace(separator, random.choice((b";", b"|", b"\t", b",")))
    lines = content.split(b"\r\n")
    here = random.randrange(len(lines) - 1)
    lines[here] = random.choice((lines[here] + separator, lines[here].partition(separator)[0]))
    return b"\r\n".join(lines)


KINDS: Mapping[str, Change] = {
    change.__name__: change
    for change in (encoding, marks, missing, alike, odd, long, label_types, line_ends, duplicates,
                   empty, huge, quotes, characters, separators)
}  # fmt: skip
