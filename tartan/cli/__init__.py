"""The command line: one file per command."""

import sys
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from tartan.cli.list import list_plugins
from tartan.cli.run import run
from tartan.errors import TartanError, suggest

COMMANDS: Mapping[str, tuple[Callable[[Sequence[str]], int], str]] = MappingProxyType(
    {
        "run": (run, "train: run 'objectives=[mlm]' weighting=meta (run --help for more)"),
        "list": (list_plugins, "show every objective and weighting, and what it costs"),
    }
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; its exit status: 0, or 2 where the input cannot be used."""
    command, *rest = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if command in ("-h", "--help"):
        print("usage: python -m tartan COMMAND ...\n")
        for name, (_, text) in COMMANDS.items():
            print(f"  {name:6} {text}")
        return 0
    try:
        if command not in COMMANDS:
            raise TartanError(f"'{command}' is no command: {suggest(command, COMMANDS)}")
        return COMMANDS[command][0](rest)
    except TartanError as error:
        print(f"tartan: {error}", file=sys.stderr)
        return 2
