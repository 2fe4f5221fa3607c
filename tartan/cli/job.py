"""What Hydra calls with each composed configuration: one run, alone or as a job of a sweep."""

import os
import shlex
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from signal import Signals
from traceback import print_exc, print_exception
from typing import NoReturn

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from tartan.cli.ended import Ended, folder, forget, record
from tartan.cli.sweep import of_sweep
from tartan.config.hydra_files import task_overrides
from tartan.config.typed_text import value_of
from tartan.distributed.place import find_place, reports, start_again
from tartan.errors import Interrupted, PeerError, TartanError, message_of, with_type
from tartan.experiment.directories import remove_empty
from tartan.report.record import CONFIG
from tartan.stdio import lossy

DEBUG = "HYDRA_FULL_ERROR"
"""The environment variable that has Hydra raise errors, and shows tracebacks of errors."""
GRID = "BasicSweeper"
"""Hydra's own sweeper, which runs all combinations and ignores what jobs return."""


@dataclass(frozen=True)
class Line:
    """The command line of `run`.

    Attributes:
        flags: Hydra's flags, as typed.
        overrides: the overrides, as typed.
    """

    flags: Sequence[str]
    overrides: Sequence[str]


def make_job(line: Line, before: Collection[Path]) -> Callable[[DictConfig], float]:
    """Return what Hydra calls with each composed configuration.

    A run that fails ends the process. The end of a sweep's job is recorded, and the sweep continues
    where a job fails, unless the job has several processes: they end together.

    Args:
        line: the command line.
        before: directories that existed before, and stay.
    """
    debug, records = bool(os.environ.get(DEBUG)), folder()

    def job(composed: DictConfig) -> float:
        directory = Path(HydraConfig.get().runtime.output_dir)
        with lossy():  # a launcher's worker has standard streams of its own
            try:
                run_job = import_module("tartan.cli.run_job").run_job  # imports torch
                value = float(run_job(composed, directory))
                if HydraConfig.get().mode == RunMode.MULTIRUN and reports():
                    _record(records, None)
                return value
            except PeerError as failed:
                _end(failed.status, records)
            except Interrupted as stopped:
                print(f"tartan: {stopped_line(stopped, directory, line)}", file=sys.stderr)
                _end(stopped.status, records)
            except Exception as error:
                return _failed(error, directory, debug, records)
            finally:
                remove_empty(directory, before)

    return job


def _record(records: str, error: str | None) -> None:
    """Record the end of a sweep's job; StorageError if it cannot be written."""
    settings = HydraConfig.get()
    ended = Ended(task_overrides(), settings.sweep.subdir, error)
    record(Path(settings.sweep.dir) / records, settings.job.num, ended)


def _end(status: int, records: str) -> NoReturn:
    """End the process, and a sweep, which has no table then."""
    settings = HydraConfig.get()
    if settings.mode == RunMode.MULTIRUN:
        forget(Path(settings.sweep.dir) / records)
    sys.exit(status)


def _failed(error: Exception, directory: Path, debug: bool, records: str) -> float:
    """Report the failure of a run.

    Args:
        error: what failed.
        directory: the run's.
        debug: whether to print the cause's traceback.
        records: the directory of the sweep's records, in the sweep's.

    Returns:
        Not a number, to a sweeper that ignores it.

    Raises:
        SystemExit: the run is not a job of a sweep, or has several processes.
        Exception: the error, to a sweeper that has a use for it.
    """
    expected = isinstance(error, TartanError)
    message = message_of(error) if expected else with_type(error)
    if not expected:
        print_exc()
    elif debug and error.__cause__:
        print_exception(error.__cause__)
    settings = HydraConfig.get()
    if settings.mode != RunMode.MULTIRUN:
        if expected:
            print(f"tartan: {message}", file=sys.stderr)
        sys.exit(2 if expected else 1)
    message = of_sweep(message)
    print(f"tartan: {_shown(directory)}: {message}", file=sys.stderr)
    if find_place() is not None:
        _end(2 if expected else 1, records)
    try:
        _record(records, message)
    except TartanError as lost:
        print(f"tartan: {message_of(lost)}", file=sys.stderr)
        _end(2, records)
    if settings.sweeper._target_.endswith(GRID):
        return float("nan")  # it would stop at an exception
    raise error


def stopped_line(stopped: Interrupted, directory: Path, line: Line) -> str:
    """Return the line about a run that a signal stopped, with the command that resumes it.

    Args:
        stopped: the signal.
        directory: the run's, unless it was resumed elsewhere.
        line: the command line.
    """
    overrides = task_overrides()
    resumed = [value_of(text) for text in overrides if text.startswith("resume=")]
    if resumed and resumed[-1] not in ("auto", "never"):
        directory = Path(resumed[-1])
    nothing = f"stopped by {Signals(stopped.number).name} before anything was written"
    written = (directory / CONFIG).is_file()
    settings = HydraConfig.get()
    if settings.mode == RunMode.MULTIRUN:
        own = ("hydra.sweep.dir=", "resume=")
        place = f"hydra.sweep.dir={settings.sweep.dir}"
        said = str(stopped) if written else f"{nothing} of {_shown(directory)}"
        return f"{said}; {_to_resume(line.flags, line.overrides, own, place)}"
    if not written:
        return nothing
    own, place = ("run_dir=", "resume="), f"resume={_shown(directory)}"
    return f"{stopped}; {_to_resume(line.flags, overrides, own, place)}"


def _to_resume(
    flags: Sequence[str], overrides: Sequence[str], own: tuple[str, ...], place: str
) -> str:
    """Return the command to resume as a shell takes it, on as many processes as now.

    Args:
        flags: Hydra's flags.
        overrides: of the command that was stopped.
        own: how the overrides begin that are left out.
        place: another override, for the end.
    """
    same = [text for text in overrides if not text.startswith(own)]
    how, program = start_again(find_place())
    command = shlex.join([*program, "-m", "tartan", "run", *flags, *same, place])
    return f"to resume{how}: {command}"


def _shown(directory: Path) -> str:
    """Return a directory as a message names it, relative to the current one where it is there."""
    near = directory.is_relative_to(Path.cwd())
    return str(directory.relative_to(Path.cwd()) if near else directory)
