"""The command line: one file per command."""

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from types import MappingProxyType

from tartan.errors import TartanError, suggest, told

COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "run": "train: run 'objectives=[mlm]' weighting=meta; run --help says more",
        "new": "write a plugin to start from: new objective NAME, or new weighting NAME",
        "study": "compare arms on the same seeds: study study.seeds=8; study --help says more",
        "list": "show every objective and weighting, and what it costs",
        "check": "try plugins against their contracts: check mlm static; all without a name",
    }
)
"""What each command does. Its file has the function `main`, and is read when it is called."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; its exit status: 0, or 2 where the input cannot be used."""
    command, *rest = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if command in ("-h", "--help"):
        print("usage: python -m tartan COMMAND ...\n")
        for name, text in COMMANDS.items():
            print(f"  {name:6} {text}")
        return 0
    if command in ("-sc", "--shell_completion"):
        command, rest = "run", [command, *rest]  # what a shell asks, once it was told to
    try:
        if command not in COMMANDS:
            raise TartanError(f"'{command}' is no command: {suggest(command, COMMANDS)}")
        status: int = import_module(f"tartan.cli.{command}").main(rest)
    except TartanError as error:
        print(f"tartan: {told(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("tartan: stopped by SIGINT", file=sys.stderr)
        return 130
    return status
