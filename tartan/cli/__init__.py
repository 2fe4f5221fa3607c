"""The command line: one file per command."""

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from types import MappingProxyType

from tartan.errors import ConfigError, TartanError, message_of, suggest
from tartan.streams import lossy, report_loss

COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "run": "train: run 'objectives=[mlm]' weighting=meta; run --help lists the options",
        "new": "write a plugin to start from: new objective NAME, or new weighting NAME",
        "study": "compare arms on the same seeds: study study.seeds=8; see study --help",
        "list": "show every objective and weighting, and what it costs",
        "check": "test plugins against their contracts: check mlm static; all without a name",
    }
)
"""What each command does. Its file has the function `main`, and is imported when it is called."""
WORK = ("run", "study")
"""Commands whose work is in files: it counts as done where what they print is lost."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit status: 0, or 2 where the input cannot be used."""
    command, *rest = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    with lossy() as (out, _):
        status = _command(command, rest)
        works = command in WORK
        if report_loss(out, works and status == 0) and not works:
            status = status or 2
    return status


def _command(command: str, rest: Sequence[str]) -> int:
    """Run a command; return its exit status. Errors are printed in one line."""
    if command in ("-h", "--help"):
        print("usage: python -m tartan COMMAND ...\n")
        for name, text in COMMANDS.items():
            print(f"  {name:6} {text}")
        return 0
    if command in ("-sc", "--shell_completion"):
        command, rest = "run", [command, *rest]  # a shell's completion, once installed
    try:
        if command not in COMMANDS:
            raise ConfigError(f"'{command}' is not a command: {suggest(command, COMMANDS)}")
        status: int = import_module(f"tartan.cli.{command}").main(rest)
    except TartanError as error:
        print(f"tartan: {message_of(error)}", file=sys.stderr)
        return 2
    except SystemExit as stopped:  # Hydra's, and argparse's
        return int(stopped.code or 0)
    except KeyboardInterrupt:
        print("tartan: stopped by SIGINT", file=sys.stderr)
        return 130
    return status
