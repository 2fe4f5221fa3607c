"""`python -m tartan run`: compose a configuration with Hydra, and run it."""

import os
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import hydra

from tartan.cli import known
from tartan.cli.flags import read_flags, without_overrides
from tartan.cli.job import DEBUG, Line, make_job
from tartan.cli.run_help import run_help
from tartan.cli.sweep import additions, of_sweep
from tartan.config.explain import one_line
from tartan.config.overrides import accept
from tartan.distributed.place import find_place
from tartan.errors import ConfigError, StorageError, TartanError
from tartan.experiment.directories import existing_for, remove_empty


def main(arguments: Sequence[str]) -> int:
    """Run what the overrides describe; several runs with `-m`. TartanError if refused.

    Returns:
        0; a sweep whose jobs failed ends by SystemExit, with status 1.
    """
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
    if not typed.hydra_help:
        overrides = accept(overrides, name, typed.config_dir, typed.multirun)
    if typed.multirun:
        _check_sweep(overrides)
        overrides += additions(overrides)
    if typed.help:
        print(run_help(name, typed.config_dir, overrides), end="")
        return 0
    sys.argv = ["tartan", *flags, *overrides]
    before = existing_for(overrides)
    job = make_job(Line(flags, typed.overrides), before)
    with _hydras_errors(before, several=typed.multirun):
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


@contextmanager
def _hydras_errors(before: Collection[Path], *, several: bool) -> Iterator[None]:
    """Through a block, turn what fails in Hydra itself into one line: it would print a traceback.

    Args:
        before: directories that existed before, and stay.
        several: whether it starts several runs.
    """
    given = os.environ.get(DEBUG)
    os.environ[DEBUG] = "1"
    try:
        yield
    except OSError as error:
        place = Path(error.filename or Path.cwd())
        remove_empty(place.parent, before)
        message = f"{place} cannot be created ({error.strerror}): choose another run_dir"
        raise StorageError(of_sweep(message) if several else message) from error
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
