"""From a composed configuration to typed options, strictly."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from tartan.config.explain import one_line
from tartan.config.interpolations import check_interpolations
from tartan.config.schema import Config
from tartan.errors import ConfigError, suggest

T = TypeVar("T")


def parse(composed: DictConfig) -> Config:
    """Return the typed configuration; sections of plugins and sources stay plain maps.

    Raises:
        ConfigError: a name, type or value that cannot be used.
    """
    return options(Config, resolved(composed), "")


def resolved(composed: DictConfig) -> dict[str, Any]:
    """Return a composed configuration as plain values, with its interpolations resolved.

    Raises:
        ConfigError: an interpolation has no value, or a number is not finite.
    """
    check_interpolations(composed)
    try:
        plain = OmegaConf.to_container(composed, resolve=True)
    except OmegaConfBaseException as error:
        raise ConfigError(one_line(error)) from error
    assert isinstance(plain, dict)
    for key, number in _not_finite(plain):
        raise ConfigError(f"{key}={number}: give a finite number")
    return {str(key): value for key, value in plain.items()}


def _not_finite(values: Any, where: str = "") -> Iterator[tuple[str, float]]:
    """Return the dotted names and values of numbers that are NaN or infinite."""
    if isinstance(values, Mapping | list):
        items = values.items() if isinstance(values, Mapping) else enumerate(values)
        for name, value in items:
            yield from _not_finite(value, f"{where}.{name}" if where else str(name))
    elif isinstance(values, float) and not math.isfinite(values):
        yield where, values


def options(cls: type[T], values: Mapping[str, Any], where: str) -> T:
    """Return an instance of an options dataclass.

    Args:
        cls: the dataclass.
        values: its values by name; defaults stand for those that are missing.
        where: the section's dotted name, for errors.

    Raises:
        ConfigError: an unknown name, or a value of the wrong type.
    """
    try:
        schema = OmegaConf.structured(cls)
        for name in values.keys() - set(schema):
            place = f"{where}.{name}" if where else name
            raise ConfigError(f"{place}: no such option; {suggest(name, schema)}")
        instance = OmegaConf.to_object(OmegaConf.merge(schema, dict(values)))
    except OmegaConfBaseException as error:
        raise ConfigError(one_line(error, where)) from error
    assert isinstance(instance, cls)
    return instance


@contextmanager
def placed(section: str, where: str) -> Iterator[None]:
    """Name the options of a section by where they stand, in errors about their values.

    Args:
        section: the dotted name of the run's own section, with which such errors begin.
        where: the dotted name of the section that is read.
    """
    try:
        yield
    except ConfigError as error:
        message = str(error)
        if not message.startswith(f"{section}."):
            raise
        raise ConfigError(f"{where}{message.removeprefix(section)}") from error
