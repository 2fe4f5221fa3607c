"""`python -m tartan run`: compose a configuration with Hydra, and run it."""

import os
import re
import shlex
import sys
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from signal import Signals
from traceback import print_exception

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from tartan.config.overrides import accept
from tartan.config.store import register
from tartan.errors import ConfigError, Interrupted, TartanError, message_of
from tartan.plugins import discover
from tartan.report.record import CONFIG
from tartan.run.hydra_files import hydra_files
from tartan.run.run import run


def main(arguments: Sequence[str]) -> int:
    """Run what the overrides describe; several runs with `-m`. TartanError if refused."""
    plugins = discover()
    register(plugins)
    for problem in plugins.problems:
        print(f"tartan: cannot be used: {problem}", file=sys.stderr)
    typed = get_args_parser().parse_args(arguments)
    if typed.experimental_rerun:
        raise ConfigError("--experimental-rerun loads a pickle, which tartan never does")
    flags = [argument for argument in arguments if argument not in typed.overrides]
    overrides = typed.overrides
    if not (typed.help or typed.hydra_help or typed.shell_completion):
        overrides = accept(
            overrides, typed.config_name or "config", typed.config_dir, typed.multirun
        )
    if typed.shell_completion:
        hide_command()
    sys.argv = ["tartan", *flags, *overrides]
    here_before = standing(overrides)

    def job(composed: DictConfig) -> None:
        directory = Path(HydraConfig.get().runtime.output_dir)
        try:
            run(composed, directory, hydra_files(), discover())
        # Inside Hydra an exception would become a traceback and exit status 1.
        except TartanError as error:
            if os.environ.get("HYDRA_FULL_ERROR") and error.__cause__:
                print_exception(error.__cause__)
            print(f"tartan: {message_of(error)}", file=sys.stderr)
            sys.exit(2)
        except Interrupted as stopped:
            print(f"tartan: {stopped_line(stopped, directory, flags)}", file=sys.stderr)
            sys.exit(stopped.status)
        finally:
            remove_empty(directory, here_before)

    hydra.main(version_base="1.3", config_path="pkg://tartan.configs", config_name="config")(job)()
    return 0


def stopped_line(stopped: Interrupted, directory: Path, flags: Sequence[str]) -> str:
    """What to say of a run that a signal stopped, with the command that goes on with it.

    Args:
        stopped: the signal.
        directory: the run's, unless it was resumed elsewhere.
        flags: Hydra's flags, as typed.
    """
    overrides = HydraConfig.get().overrides.task
    resumed = [text.removeprefix("resume=") for text in overrides if text.startswith("resume=")]
    if resumed and resumed[-1] not in ("auto", "never"):
        directory = Path(resumed[-1].strip("'\""))
    if not (directory / CONFIG).is_file():
        return f"stopped by {Signals(stopped.number).name} before anything was written"
    near = directory.is_relative_to(Path.cwd())
    place = str(directory.relative_to(Path.cwd()) if near else directory)
    same = [text for text in overrides if not text.startswith(("run_dir=", "resume="))]
    kept = [flag for flag in flags if flag not in ("-m", "--multirun")]
    quoted = place if re.fullmatch(r"[\w./-]+", place) else f"'{place}'"
    command = shlex.join(["python", "-m", "tartan", "run", *kept, *same, f"resume={quoted}"])
    return f"{stopped}; to go on: {command}"


def standing(overrides: Sequence[str]) -> frozenset[Path]:
    """The directories that are there already, of the run directory that is given and its parents.

    Raises:
        ConfigError: what is given is, or is in, a file.
    """
    given = [text.split("=", 1)[1] for text in overrides if text.startswith("run_dir=")]
    paths = [Path.cwd(), *(path for name in given for path in parents(Path(name.strip("'\""))))]
    for path in paths:
        if path.exists() and not path.is_dir():
            raise ConfigError(f"run_dir={given[-1]}: {path} is a file; give a directory")
    return frozenset(path for path in paths if path.is_dir())


def parents(path: Path) -> list[Path]:
    """A path and all above it, absolute."""
    return [path.absolute(), *path.absolute().parents]


def hide_command() -> None:
    """Take `run` out of the line that a shell wants completed: Hydra knows of no commands."""
    line = os.environ.get("COMP_LINE", "")
    words = line.split(" ")
    if words[1:2] == ["run"]:
        os.environ["COMP_LINE"] = " ".join([words[0], *words[2:]])
        point = int(os.environ.get("COMP_POINT", len(line)))
        os.environ["COMP_POINT"] = str(point - len("run "))


def remove_empty(directory: Path, before: Collection[Path]) -> None:
    """Take away what Hydra made for a run that was refused, or goes on elsewhere.

    Args:
        directory: the run's.
        before: directories that stood before Hydra began, and stay.
    """
    with suppress(OSError):  # raised at the first that has something in it
        for path in parents(directory):
            if path in before:
                return
            path.rmdir()
