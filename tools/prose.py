"""Find phrases that are hard to read: `python -m tools.prose [FILE OR FOLDER ...]`.

tartan's readers come from all over the world, so its text uses plain English: subject, verb,
object, and the standard words of the field. This program lists lines of Markdown, Python
and .txt files that use one of the phrases below, with a suggestion. It also lists docstrings of
functions that begin with a question word instead of a verb. The exit status is 1 if there are any.
"""

import ast
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
CHECKED = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "docs", "tools")
"""What is checked when no file is named."""

_IS = r"\b(?:is|are|was|were|be|been|being)"
_PHRASES = {
    r"\b(?:go|goes|going|gone|went) on\b(?! to\b)": "resume, continue",
    r"\b(?:can(?:not)?|could|to) be had\b": "available, not available",
    _IS + r" told\b|\bwhat (?:it|he|she) (?:is|was) told\b": "report, log, print",
    _IS + r" said\b": "report, log, print",
    r"\bmend(?:s|ed|ing)?\b": "fix",
    r"\banew\b": "again",
    r"\bscores? flatters?\b": "scores may be inflated",
    r"\bask(?:s|ed|ing)? for\b": "need, request",
    _IS + r" proved\b": "verified",
    r"(?<!\bthere\x20)\b(?:is|are) no (?!longer\b|more\b|less\b|other\b)[a-z]": "is not a",
    r"\bas of\b": "same as",
    r"\bof (?:a|one) (?:name|number)\b": "named X, number N",
    r"\btold no more\b": "disabled",
    r"/(?:work|root|opt)/[a-z]": "a path that exists on every machine",
}
_RULES = [
    (re.compile(pattern.replace(" ", r"\s+"), re.IGNORECASE), hint)
    for pattern, hint in _PHRASES.items()
]
_BREAK = re.compile(r"[ \t]*\n[ \t]*(?:#[ \t]*)?")
_NO_VERB = re.compile(r"(?:What|Whether|How|Which|Where|Who|Why|When)\b")


class Finding(NamedTuple):
    """A phrase in a file."""

    file: Path
    line: int
    phrase: str
    hint: str

    def __str__(self) -> str:
        """Return the finding as editors and compilers print positions."""
        return f"{self.file}:{self.line}: {self.phrase!r}: write {self.hint}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print every finding in the named files; return 1 if there are any, else 0."""
    chosen = [Path(word) for word in (sys.argv[1:] if arguments is None else arguments)]
    findings = [finding for file in files(chosen) for finding in check(file)]
    print("".join(f"{finding}\n" for finding in findings), end="")
    return int(bool(findings))


def files(chosen: Sequence[Path]) -> list[Path]:
    """Return Markdown, Python and text files among files and folders, by default the `CHECKED`."""
    places = list(chosen) or [ROOT / name for name in CHECKED]
    found = set[Path]()
    for place in places:
        inside = place.rglob("*") if place.is_dir() else [place]
        found.update(file for file in inside if file.suffix in {".md", ".py", ".txt"})
    return sorted(found - {Path(__file__).resolve(), Path(__file__)})


def check(file: Path) -> list[Finding]:
    """Return what a file should say in other words."""
    text = file.read_text(encoding="utf-8")
    findings = list(phrases(file, text))
    if file.suffix == ".py":
        findings += docstrings(file, ast.parse(text))
    return findings


def phrases(file: Path, text: str) -> Iterator[Finding]:
    """Yield the phrases of a text, including those that a line break divides."""
    starts = [0, *(found.end() for found in re.finditer("\n", text))]
    flat = _BREAK.sub(lambda found: " " * len(found.group()), text)
    for rule, hint in _RULES:
        for found in rule.finditer(flat):
            line = sum(start <= found.start() for start in starts)
            yield Finding(file, line, " ".join(found.group().split()), hint)


def docstrings(file: Path, tree: ast.Module) -> Iterator[Finding]:
    """Yield the functions whose docstring begins with a question word instead of a verb."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node) or ""
            if not is_property(node) and _NO_VERB.match(text):
                yield Finding(file, node.lineno, text.split("\n")[0], "Return ..., Compute ...")


def is_property(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Return True for properties and fixtures, which are nouns."""
    return any("property" in ast.unparse(decorator) for decorator in function.decorator_list)


if __name__ == "__main__":
    sys.exit(main())
