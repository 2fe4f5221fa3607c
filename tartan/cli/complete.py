"""What can follow on a command line: commands, flags, plugins, choices and options."""

from collections.abc import Iterable, Iterator

from hydra._internal.core_plugins.bash_completion import BashCompletion
from hydra.core.global_hydra import GlobalHydra

from tartan.cli import known
from tartan.cli.commands import COMMANDS
from tartan.config.composer import composing

FLAGS = ("--help", "--version")
HYDRAS = (
    "--help", "--hydra-help", "--multirun", "--cfg", "--info", "--config-dir", "--config-name",
    "--package", "--resolve",
)  # fmt: skip
"""Flags of `run`, which are Hydra's."""


def complete(line: str) -> list[str]:
    """Return what the last word of a line can be.

    Args:
        line: what was typed after the program's name, up to the cursor.
    """
    *before, word = line.split(" ")
    before = [each for each in before if each]
    word = word.lstrip("'\"")
    if not before:
        return _starting(word, (*COMMANDS, *FLAGS))
    command = COMMANDS.get(before[0])
    found: list[str] = []
    for kind in command.takes if command else ():
        if kind == "overrides":
            found += _overrides(before[0], before[1:], word)
        elif kind == "plugins":
            found += _starting(word, known.register().plugins)
        elif kind != "files":
            found += _starting(word, [kind])
    return found


def _overrides(command: str, before: list[str], word: str) -> list[str]:
    """Return how an override, or a flag of Hydra's, can continue."""
    if word.startswith("-"):
        return _starting(word, HYDRAS)
    known.register()
    kept = [each.strip("'\"") for each in before if not each.startswith("-") and "=" in each]
    with composing():
        loader = GlobalHydra.instance().config_loader()
        if "=[" in word:
            group, _, typed = word.partition("=[")
            return list(_several(group, typed, loader.get_group_options(group)))
        hydra = BashCompletion(loader)
        of_study = command == "study" and (word.startswith("study") or not word)
        found = hydra._query("study", word) if of_study else []
        if command != "study" or not word.startswith("study"):
            found += hydra._query("config", " ".join([*kept, word]))
        return sorted({each for each in found if not each.startswith("study") or of_study})


def _several(group: str, typed: str, options: Iterable[str]) -> Iterator[str]:
    """Return how a list of choices can continue: `objectives=[mlm,r` by `objectives=[mlm,rtd`."""
    *chosen, last = typed.split(",")
    for name in options:
        if name.startswith(last) and name not in chosen:
            yield f"{group}=[{','.join([*chosen, name])}"


def _starting(word: str, words: Iterable[str]) -> list[str]:
    """Return the words that start with what was typed."""
    return [each for each in words if each.startswith(word)]
