"""`python -m tartan run`: compose a configuration with Hydra, and run it."""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from tartan.config.overrides import accept
from tartan.config.run import run
from tartan.config.store import register
from tartan.errors import ConfigError, TartanError
from tartan.plugins import discover


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
        overrides = accept(overrides, typed.config_name or "config", typed.config_dir)
    if typed.shell_completion:
        hide_command()
    sys.argv = ["tartan", *flags, *overrides]
    hydra.main(version_base="1.3", config_path="pkg://tartan.configs", config_name="config")(job)()
    return 0


def hide_command() -> None:
    """Take `run` out of the line that a shell wants completed: Hydra knows of no commands."""
    line = os.environ.get("COMP_LINE", "")
    words = line.split(" ")
    if words[1:2] == ["run"]:
        os.environ["COMP_LINE"] = " ".join([words[0], *words[2:]])
        point = int(os.environ.get("COMP_POINT", len(line)))
        os.environ["COMP_POINT"] = str(point - len("run "))


def job(composed: DictConfig) -> None:
    """One run, where Hydra says. SystemExit with status 2 if it is refused."""
    directory = Path(HydraConfig.get().runtime.output_dir)
    try:
        run(composed, directory, hydra_files(), discover())
    except TartanError as error:
        # Inside Hydra an exception would become a traceback and exit status 1.
        print(f"tartan: {error}", file=sys.stderr)
        sys.exit(2)
    finally:
        remove_empty(directory)


def hydra_files() -> dict[str, DictConfig | list[str]]:
    """What Hydra would write to .hydra/ beside the configuration."""
    settings = HydraConfig.get()
    return {
        "hydra.yaml": OmegaConf.create({"hydra": OmegaConf.to_container(settings)}),
        "overrides.yaml": list(settings.overrides.task),
    }


def remove_empty(directory: Path) -> None:
    """Take away what Hydra made for a run that was refused, or goes on elsewhere."""
    here = Path.cwd()
    with suppress(OSError):  # raised at the first that has something in it
        for path in (directory, *directory.parents):
            if path != directory and here not in path.parents:
                return
            path.rmdir()
