"""The command line: commands.py lists the commands, one file each; the others are helpers."""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version

from tartan.cli.commands import COMMANDS, help_text
from tartan.cli.openmp import wait_briefly
from tartan.errors import ConfigError, TartanError, message_of, suggest
from tartan.stdio import lossy, report_loss


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit status: 0, or 2 where the input cannot be used."""
    wait_briefly()
    command, *rest = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    with lossy() as (out, _):
        status = _command(command, rest)
        works = command in COMMANDS and COMMANDS[command].works
        if report_loss(out, works and status == 0) and not works:
            status = status or 2
    return status


def _command(command: str, rest: Sequence[str]) -> int:
    """Run a command; return its exit status. Errors are printed in one line."""
    if command in ("-h", "--help"):
        print(_usage(), end="")
        return 0
    if command in ("-V", "--version"):
        print(f"tartan {version('tartan')}")
        return 0
    status = 0
    try:
        if command not in COMMANDS:
            raise ConfigError(f"'{command}' is not a command: {suggest(command, COMMANDS)}")
        if {"-h", "--help"} & set(rest) and not COMMANDS[command].prints_help:
            print(help_text(command), end="")
        else:
            status = int(import_module(f"tartan.cli.{command}").main(rest))
    except TartanError as error:
        print(f"tartan: {message_of(error)}", file=sys.stderr)
        return 2
    except SystemExit as stopped:  # Hydra's, and argparse's
        return int(stopped.code or 0)
    except KeyboardInterrupt:
        print("tartan: stopped by SIGINT", file=sys.stderr)
        return 130
    return status


def _usage() -> str:
    """Return what `--help` prints."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}} {command.summary}" for name, command in COMMANDS.items()]
    return "\n".join(["usage: python -m tartan COMMAND ...", "", *lines, ""])
