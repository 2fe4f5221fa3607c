"""Tag schemes: how tags such as `B-PER`, `I_LOC`, `PER-S` or `PER` are read as parts of spans."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Self

from tartan.errors import ConfigError, shown, suggest
from tartan.spans import OUTSIDE, Span, Tag, find_spans

STATES: Mapping[str, str] = dict(zip("BIESMLUW", "BIESIESS", strict=True))
"""The letters of all schemes as those of BIOES: begin, inside, end, single."""

SCHEMES: Mapping[str, str] = {
    "IO": "I", "BIO": "BI", "IOB1": "BI", "IOE": "IE", "BIOES": "BIES", "BILOU": "BILU",
    "BMES": "BMES", "BMEWO": "BMEW",
}  # fmt: skip
"""The letters of each scheme besides `O`."""

PREFIX = re.compile(r"(?P<letter>[A-Za-z])[\W_](?P<type>.*)")
SUFFIX = re.compile(r"(?P<type>.*)[\W_](?P<letter>[A-Za-z])")
BARE = re.compile(r"(?P<letter>[A-Za-z])(?P<type>)")
FORMS = (PREFIX, SUFFIX, BARE)
"""How a letter and a type make a tag: `B-PER` or `b_per`; `PER-B`; `B` or `B-`."""

SAMPLED = 2000
"""Rows of tags that are read to tell schemes apart."""

REGULAR = 0.95
"""The least share of letters that follow the right ones, for bare letters to be a scheme."""


@dataclass(frozen=True)
class TagScheme:
    """A reading of tags as spans.

    Attributes:
        name: one of `SCHEMES`, or `plain` where each word is a span of its own.
        tags: the tags as read, by id.
        other: tags that have no letter where others do; words in a row that share one are a span.
    """

    name: str
    tags: tuple[Tag, ...]
    other: tuple[str, ...] = ()

    @classmethod
    def find(cls, tags: Sequence[str], rows: Iterable[Sequence[int]] = ()) -> Self:
        """Find the scheme of tags.

        Letters before or after a type are a scheme's where all tags but `O` have them. Letters
        alone are, where they also follow each other as the scheme says: `E` and `S` may be
        languages. Other tags beside `O` are types (IO); without `O` each word is a span.

        Args:
            tags: all tags, by id.
            rows: the tags of consecutive words, as ids.

        >>> TagScheme.find(["B-PER", "I-PER", "O"]).name
        'BIO'
        >>> TagScheme.find(["O", "PER"]).tags
        (Tag(state='O', type=''), Tag(state='I', type='PER'))
        >>> TagScheme.find(["NOUN", "VERB"]).name
        'plain'
        """
        outside, sample = _outside(tags), list(islice(rows, SAMPLED))
        for form in FORMS:
            letters = _letters(tags, outside, form)
            other = tuple(tag for tag in tags if tag != outside and tag not in letters)
            name = _scheme(letters.values())
            read = _read(tags, outside, letters)
            if name is None or not _evident(letters, other, outside):
                continue
            if form is BARE and (other or not _regular(read, sample)):
                continue
            if name == "BIO" and _begins_only_between(read, sample):
                name = "IOB1"
            return cls(name, read, other)
        if outside is None:
            return cls("plain", _read(tags, outside, {}, "S"))
        return cls("IO", _read(tags, outside, {}))

    @classmethod
    def named(cls, name: str, tags: Sequence[str]) -> Self:
        """Read tags in a scheme that is given.

        Args:
            name: one of `SCHEMES`, or `plain`.
            tags: all tags, by id.

        Raises:
            ConfigError: there is no such scheme, or a tag is not one of its tags.
        """
        if name not in (*SCHEMES, "plain"):
            raise ConfigError(f"scheme={name}: {suggest(name, ('auto', 'plain', *SCHEMES))}")
        outside = _outside(tags)
        spans = [tag for tag in tags if tag != outside]
        readings = (_letters(tags, outside, form) for form in FORMS)
        letters = max(readings, key=lambda found: _fitting(found, name))
        if name == "plain":
            return cls(name, _read(tags, outside, {}, "S"))
        if name == "IO" and _fitting(letters, name) < len(spans):
            return cls(name, _read(tags, outside, {}))
        for tag in spans:
            if tag not in letters or letters[tag][0] not in SCHEMES[name]:
                raise ConfigError(
                    f"scheme={name}: tag '{shown(tag)}' is neither O nor a type with one of "
                    f"{', '.join(SCHEMES[name])}: choose another scheme, or auto"
                )
        return cls(name, _read(tags, outside, letters))

    def spans(self, ids: Iterable[int]) -> set[Span]:
        """Return the spans of consecutive words' tags, given as ids."""
        return find_spans(self.tags[i] for i in ids)


def _outside(tags: Sequence[str]) -> str | None:
    """Return the tag of words outside of spans: `O`, or `o` among tags in lower case."""
    if "O" in tags:
        return "O"
    longer = any(len(tag) > 1 for tag in tags)
    return "o" if longer and "o" in tags and all(tag == tag.lower() for tag in tags) else None


def _letters(
    tags: Sequence[str], outside: str | None, form: re.Pattern[str]
) -> dict[str, tuple[str, str]]:
    """Return letter and type of each tag that has a form and a letter of some scheme."""
    matches = {tag: form.fullmatch(tag) for tag in tags if tag != outside}
    return {
        tag: (match["letter"].upper(), match["type"])
        for tag, match in matches.items()
        if match and match["letter"].upper() in STATES
    }


def _read(
    tags: Sequence[str],
    outside: str | None,
    letters: Mapping[str, tuple[str, str]],
    state: str = "I",
) -> tuple[Tag, ...]:
    """Return tags as read; one without a letter is a type, in a given state."""

    def read(tag: str) -> Tag:
        if tag == outside:
            return OUTSIDE
        letter, kind = letters.get(tag, ("", tag))
        return Tag(STATES.get(letter, state), kind)

    return tuple(map(read, tags))


def _scheme(letters: Iterable[tuple[str, str]]) -> str | None:
    """Return the first scheme that has all the letters; None where there are none."""
    found = {letter for letter, _ in letters}
    return next((name for name, known in SCHEMES.items() if found and found <= set(known)), None)


def _fitting(letters: Mapping[str, tuple[str, str]], name: str) -> int:
    """Return how many tags have a letter of a scheme."""
    return sum(letter in SCHEMES.get(name, "") for letter, _ in letters.values())


def _evident(
    letters: Mapping[str, tuple[str, str]], other: Sequence[str], outside: str | None
) -> bool:
    """Return whether letters of tags are a scheme's, rather than parts of names.

    They are where a type has both a beginning and a continuation, and also where all tags have
    letters and there is a tag for words outside, or the letters are those of BIO.
    """
    states: dict[str, set[str]] = {}
    for letter, kind in letters.values():
        states.setdefault(kind, set()).add(STATES[letter])
    if any("B" in found and found & {"I", "E"} for found in states.values()):
        return True
    typed = "" not in states
    begun = all(found <= {"B", "I"} for found in states.values())
    return typed and not other and (outside is not None or begun)


def _regular(read: Sequence[Tag], rows: Sequence[Sequence[int]]) -> bool:
    """Return whether bare letters follow each other as those of a scheme do."""
    pairs = _pairs(read, rows)
    continued = [before in "BI" for before, tag in pairs if tag in "IE"]
    between = [before == "I" for before, tag in pairs if tag == "B"]
    begun = sum(continued) >= REGULAR * len(continued)
    return begun or (_begins_only_between(read, rows) and sum(between) >= len(between) / 2)


def _begins_only_between(read: Sequence[Tag], rows: Sequence[Sequence[int]]) -> bool:
    """Return whether `B` stands between spans of a type alone, as in IOB1, and others begin `I`."""
    pairs = _pairs(read, rows)
    between = [before in "BI" for before, tag in pairs if tag == "B"]
    inside = [before in "BI" for before, tag in pairs if tag == "I"]
    return bool(between) and sum(between) >= REGULAR * len(between) and not all(inside)


def _pairs(read: Sequence[Tag], rows: Sequence[Sequence[int]]) -> list[tuple[str, str]]:
    """Return each tag's state after the state before it; `O` before words and other types."""
    found = []
    for row in rows:
        tags = [OUTSIDE, *(read[i] for i in row)]
        found += [
            (before.state if before.type == tag.type else "O", tag.state)
            for before, tag in pairwise(tags)
        ]
    return found
