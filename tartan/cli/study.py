"""`python -m tartan study`: several arms, the same seeds, one table."""

import sys
from collections.abc import Sequence
from signal import Signals

from hydra._internal.utils import get_args_parser

from tartan.config.store import register
from tartan.errors import ConfigError, Interrupted
from tartan.plugins import discover
from tartan.study import options
from tartan.study.plan import Typed, read_options
from tartan.study.study import study

HELP = """\
usage: python -m tartan study [study.<option>=...] [override ...]

Runs several arms on the same seeds, and compares them. Started again, it goes on: finished runs are
skipped, others are resumed, failed ones are tried again.

  python -m tartan study
  python -m tartan study 'study.arms=[finetune,meta]' study.seeds=10 data=sciie data.dir=...
  python -m tartan study hydra/launcher=joblib hydra.launcher.n_jobs=2
  python -m tartan study '+study.overrides.mine=["objectives=[mlm,rtd]","weighting=meta"]'

study=<file> takes a file of study/ in a --config-dir, with arms of its own. Every other override
is as of `run`, and applies to each arm that has the option; an arm's own overrides come first.
hydra/launcher=... spreads the runs; hydra/launcher=submitit_slurm over a cluster.

options of study, and what they are:
"""
REFUSED = {
    "multirun": "a study is several runs already: leave -m out",
    "cfg": "--cfg is of one run: say it to run",
    "info": "--info is of one run: say it to run",
    "experimental_rerun": "--experimental-rerun loads a pickle, which tartan never does",
    "config_name": "--config-name is of one run: give study=... and overrides",
    "config_path": "--config-path is of one run: give --config-dir",
}


def main(arguments: Sequence[str]) -> int:
    """Do a study; 1 if runs of it failed. TartanError where it is refused."""
    plugins = discover()
    register(plugins)
    options.register()
    typed = get_args_parser().parse_args(arguments)
    if typed.help:
        print(HELP + _described(), end="")
        return 0
    for problem in plugins.problems:
        print(f"tartan: cannot be used: {problem}", file=sys.stderr)
    for name, reason in REFUSED.items():
        if getattr(typed, name, None):
            raise ConfigError(reason)
    try:
        results = study(Typed.split(typed.overrides, typed.config_dir))
    except Interrupted as stopped:
        name = Signals(stopped.number).name
        print(f"tartan: stopped by {name}; to go on, give the same command", file=sys.stderr)
        return stopped.status
    failed = [run.directory for run in results.runs if run.status == "failed"]
    if failed:
        print(
            f"tartan: {len(failed)} of {len(results.runs)} runs failed ({', '.join(failed)}): "
            "give the same command to try them again",
            file=sys.stderr,
        )
    return 1 if any(run.status != "finished" for run in results.runs) else 0


def _described() -> str:
    """The study's options with their values."""
    values = read_options(Typed([], [], []))
    lines = [
        f"  study.{name}={value}"
        for name, value in vars(values).items()
        if name not in ("overrides", "labels")
    ]
    lines += [f"  study.overrides.{name}={list(own)}" for name, own in values.overrides.items()]
    return "\n".join(lines) + "\n"
