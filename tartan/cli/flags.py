"""Hydra's own flags, as `run` and `study` take them."""

import os
from argparse import Namespace
from collections.abc import Sequence

from hydra._internal.utils import get_args_parser

from tartan.errors import ConfigError


def read_flags(arguments: Sequence[str]) -> Namespace:
    """Return flags and overrides. ConfigError where a flag is unknown or cannot be used."""
    parser = get_args_parser()

    def refuse(message: str) -> None:
        raise ConfigError(f"{message}; run --help lists the flags")

    parser.error = refuse  # type: ignore[method-assign,assignment]
    typed = parser.parse_args(arguments)
    if typed.experimental_rerun:
        raise ConfigError("--experimental-rerun loads a pickle, which is never done")
    if typed.config_dir:
        typed.config_dir = os.path.expanduser(typed.config_dir)  # noqa: PTH111 - as a text
    return typed


def without_overrides(arguments: Sequence[str], typed: Namespace) -> list[str]:
    """Return the flags among a command's arguments, for Hydra to read again."""
    left = list(typed.overrides)
    flags = []
    for argument in arguments:
        if argument in left:
            left.remove(argument)
        else:
            flags.append(argument)
    return [
        f"--config-dir={typed.config_dir}" if flag.startswith("--config-dir=") else flag
        for flag in flags
    ]
