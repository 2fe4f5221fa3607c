"""`python -m tartan completion SHELL`: complete commands and options in bash, zsh and fish."""

from collections.abc import Sequence
from importlib.resources import files

from tartan.cli.commands import COMMANDS, help_text
from tartan.cli.complete import complete
from tartan.errors import ConfigError, suggest

SHELLS = COMMANDS["completion"].takes
WORDS = "--words"
"""The flag by which the scripts ask what can follow."""


def main(arguments: Sequence[str]) -> int:
    """Print a shell's script, or with `--words` what can follow on a line.

    Raises:
        ConfigError: the shell is not known.
    """
    if arguments and arguments[0] == WORDS:
        line = " ".join(arguments[1:])
        print("\n".join(complete(line)))
        return 0
    if {"-h", "--help"} & set(arguments):
        print(help_text("completion"), end="")
        return 0
    if len(arguments) != 1 or arguments[0] not in SHELLS:
        hint = suggest(arguments[0], SHELLS) if arguments else f"choose from: {', '.join(SHELLS)}"
        raise ConfigError(f"usage: python -m tartan completion {'|'.join(SHELLS)} ({hint})")
    print(
        (files("tartan.cli") / f"completion_scripts/tartan.{arguments[0]}").read_text(
            encoding="utf-8"
        ),
        end="",
    )
    return 0
