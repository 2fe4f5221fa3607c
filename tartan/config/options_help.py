"""What options mean: read from the docstrings of their dataclasses."""

import inspect
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass

HELP = "help"
"""The key of a field's metadata that has its meaning, where no docstring does."""


def options_help(cls: type) -> dict[str, str]:
    """Return what each option of a dataclass means, in one line; empty where nothing says it."""
    if not is_dataclass(cls):
        return {}
    said: dict[str, str] = {}
    for each in reversed(cls.__mro__):
        said |= attributes(each.__doc__ or "")
    return {
        option.name: option.metadata.get(HELP) or said.get(option.name, "")
        for option in fields(cls)
    }


def attributes(docstring: str) -> Mapping[str, str]:
    """Return the section `Attributes:` of a docstring in Google's style.

    >>> attributes('''An optimiser.
    ...
    ... Attributes:
    ...     rate: the learning rate,
    ...         at its highest.
    ... ''')
    {'rate': 'the learning rate, at its highest.'}
    """
    _, _, section = inspect.cleandoc(docstring).partition("Attributes:\n")
    section = re.split(r"^\S", section, maxsplit=1, flags=re.MULTILINE)[0]
    parts = re.split(r"^    (\w+)(?: \([^)]*\))?:\s", section, flags=re.MULTILINE)
    names, texts = parts[1::2], parts[2::2]
    return {name: " ".join(text.split()) for name, text in zip(names, texts, strict=True)}
