"""`python -m tartan run`: compose a configuration with Hydra, and run it."""

import os
import shlex
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from signal import Signals
from traceback import print_exc, print_exception

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from tartan.cli import known
from tartan.cli.flags import read_flags, without_overrides
from tartan.cli.run_help import run_help
from tartan.cli.sweep import naming
from tartan.config.explain import one_line
from tartan.config.hydra_files import task_overrides
from tartan.config.overrides import accept
from tartan.config.typed_text import value_of
from tartan.distributed.place import find_place
from tartan.errors import (
    ConfigError,
    Interrupted,
    PeerError,
    StorageError,
    TartanError,
    message_of,
)
from tartan.experiment.directories import existing_for, remove_empty
from tartan.report.record import CONFIG
from tartan.streams import lossy

DEBUG = "HYDRA_FULL_ERROR"
"""The environment variable that has Hydra raise errors, and shows tracebacks of errors."""


def main(arguments: Sequence[str]) -> int:
    """Run what the overrides describe; several runs with `-m`. TartanError if refused."""
    if find_place() is None:
        return _main(arguments)
    with import_module("tartan.distributed.join").leaving():  # imports torch
        return _main(arguments)


def _main(arguments: Sequence[str]) -> int:
    """Run what the overrides describe, in this process."""
    typed = read_flags(arguments)
    flags = without_overrides(arguments, typed)
    overrides = typed.overrides
    known.register()
    name = typed.config_name or "config"
    if not (typed.hydra_help or typed.shell_completion):
        overrides = accept(overrides, name, typed.config_dir, typed.multirun)
    if typed.multirun:
        _check_sweep(overrides)
        overrides += naming(overrides)
    if typed.help:
        print(run_help(name, typed.config_dir, overrides), end="")
        return 0
    if typed.shell_completion:
        hide_command()
    sys.argv = ["tartan", *flags, *overrides]
    before = existing_for(overrides)
    job = _job(flags, before, debug=bool(os.environ.get(DEBUG)))
    with _hydras_errors(before):
        hydra.main(version_base="1.3", config_path="pkg://tartan.configs", config_name="config")(
            job
        )()
    return 0


def _check_sweep(overrides: Sequence[str]) -> None:
    """ConfigError if each of a launcher's processes would start processes of its own."""
    for text in overrides:
        group, _, name = text.partition("=")
        if group == "hydra/launcher" and name != "basic" and find_place() is not None:
            raise ConfigError(
                f"{text}: the processes of a launcher run a sweep's jobs together, one after the "
                "other; leave it out, or start the sweep without the launcher"
            )


def _job(
    flags: Sequence[str], before: Collection[Path], debug: bool
) -> Callable[[DictConfig], float]:
    """Return what Hydra calls with each composed configuration.

    Args:
        flags: Hydra's flags, as typed.
        before: directories that existed before, and stay.
        debug: whether tracebacks of errors are shown.
    """

    def job(composed: DictConfig) -> float:
        directory = Path(HydraConfig.get().runtime.output_dir)
        with lossy():  # a launcher's worker has standard streams of its own
            try:
                run_job = import_module("tartan.cli.run_job").run_job  # imports torch
                return float(run_job(composed, directory))
            # Hydra would continue with a sweep's next job.
            except PeerError as failed:
                sys.exit(failed.status)
            except TartanError as error:
                if debug and error.__cause__:
                    print_exception(error.__cause__)
                print(f"tartan: {message_of(error)}", file=sys.stderr)
                sys.exit(2)
            except Interrupted as stopped:
                print(f"tartan: {stopped_line(stopped, directory, flags)}", file=sys.stderr)
                sys.exit(stopped.status)
            except Exception:
                print_exc()
                sys.exit(1)
            finally:
                remove_empty(directory, before)

    return job


@contextmanager
def _hydras_errors(before: Collection[Path]) -> Iterator[None]:
    """Through a block, turn what fails in Hydra itself into one line: it would print a traceback.

    Args:
        before: directories that existed before, and stay.
    """
    given = os.environ.get(DEBUG)
    os.environ[DEBUG] = "1"
    try:
        yield
    except OSError as error:
        place = Path(error.filename or Path.cwd())
        remove_empty(place.parent, before)
        raise StorageError(
            f"{place} cannot be created ({error.strerror}): choose another run_dir"
        ) from error
    except TartanError:
        raise
    # Of Hydra, OmegaConf or a launcher: the run's own errors do not come here.
    except Exception as error:
        raise ConfigError(one_line(error)) from error
    finally:
        if given is None:
            os.environ.pop(DEBUG, None)
        else:
            os.environ[DEBUG] = given


def stopped_line(stopped: Interrupted, directory: Path, flags: Sequence[str]) -> str:
    """Return the line about a run that a signal stopped, with the command that resumes it.

    Args:
        stopped: the signal.
        directory: the run's, unless it was resumed elsewhere.
        flags: Hydra's flags, as typed.
    """
    overrides = task_overrides()
    resumed = [value_of(text) for text in overrides if text.startswith("resume=")]
    if resumed and resumed[-1] not in ("auto", "never"):
        directory = Path(resumed[-1])
    if not (directory / CONFIG).is_file():
        return f"stopped by {Signals(stopped.number).name} before anything was written"
    near = directory.is_relative_to(Path.cwd())
    place = str(directory.relative_to(Path.cwd()) if near else directory)
    same = [text for text in overrides if not text.startswith(("run_dir=", "resume="))]
    kept = [flag for flag in flags if flag not in ("-m", "--multirun")]
    command = shlex.join(["python", "-m", "tartan", "run", *kept, *same, f"resume={place}"])
    return f"{stopped}; to resume: {command}"


def hide_command() -> None:
    """Remove `run` from the line that a shell completes: Hydra has no commands."""
    line = os.environ.get("COMP_LINE", "")
    words = line.split(" ")
    if words[1:2] == ["run"]:
        os.environ["COMP_LINE"] = " ".join([words[0], *words[2:]])
        point = int(os.environ.get("COMP_POINT", len(line)))
        os.environ["COMP_POINT"] = str(point - len("run "))
