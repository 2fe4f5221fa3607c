"""`python -m tartan study`: several arms, the same seeds, one table."""

import sys
from collections.abc import Sequence
from importlib import import_module
from signal import Signals

from tartan.cli import known
from tartan.cli.commands import help_text
from tartan.cli.flags import read_flags
from tartan.cli.run_help import study_help
from tartan.config.overrides import accept
from tartan.distributed.place import reports
from tartan.errors import ConfigError, Interrupted
from tartan.study.command_line import Typed

REFUSED = {
    "multirun": "a study already consists of several runs: leave -m out",
    "cfg": "--cfg applies to a single run: use `python -m tartan run --cfg job`",
    "info": "--info applies to a single run: use `python -m tartan run --info`",
    "config_name": "--config-name applies to a single run: give study=... and overrides",
    "config_path": "--config-path applies to a single run: give --config-dir",
}


def main(arguments: Sequence[str]) -> int:
    """Do a study; 1 if runs of it failed. TartanError where it is refused."""
    if not reports():  # of a launcher's processes, rank 0 conducts the study and starts its own
        return 0
    typed = read_flags(arguments)
    known.register()
    if typed.help:
        print(help_text("study") + study_help(typed.config_dir), end="")
        return 0
    for name, reason in REFUSED.items():
        if getattr(typed, name, None):
            raise ConfigError(reason)
    own = [text for text in typed.overrides if text.lstrip("+~").startswith("study")]
    accept(own, "study", typed.config_dir)
    work = import_module("tartan.study.study")  # imports torch
    try:
        results = work.study(Typed.split(typed.overrides, typed.config_dir))
    except Interrupted as stopped:
        name = Signals(stopped.number).name
        print(f"tartan: stopped by {name}; to resume, give the same command", file=sys.stderr)
        return stopped.status
    failed = [run.directory for run in results.runs if run.error is not None]
    if failed:
        print(
            f"tartan: {len(failed)} of {len(results.runs)} runs failed ({', '.join(failed)}): "
            "give the same command to try them again",
            file=sys.stderr,
        )
    return 1 if not all(run.complete for run in results.runs) else 0
