"""From a composed configuration to typed options, strictly."""

from collections.abc import Mapping
from typing import Any, TypeVar

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from tartan.config.schema import Config
from tartan.errors import ConfigError, suggest

T = TypeVar("T")


def parse(composed: DictConfig) -> Config:
    """The typed configuration; sections that belong to plugins and sources stay plain maps.

    Raises:
        ConfigError: a name, type or value that cannot be used.
    """
    return options(Config, resolved(composed), "")


def resolved(composed: DictConfig) -> dict[str, Any]:
    """A composed configuration as plain values, interpolations resolved."""
    try:
        plain = OmegaConf.to_container(composed, resolve=True)
    except OmegaConfBaseException as error:
        raise ConfigError(one_line(error)) from error
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def options(cls: type[T], values: Mapping[str, Any], where: str) -> T:
    """An instance of an options dataclass.

    Args:
        cls: the dataclass.
        values: its values by name; what is missing takes its default.
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


def one_line(error: Exception, where: str = "") -> str:
    """What Hydra or OmegaConf says, in one line that names the key."""
    cause = error
    # Hydra wraps what OmegaConf says; OmegaConf's own causes, where it keeps them, say less.
    if not isinstance(error, OmegaConfBaseException) and isinstance(
        error.__cause__, OmegaConfBaseException
    ):
        cause = error.__cause__
    text = str(cause).splitlines()[0]
    key = ".".join(filter(None, (where, getattr(cause, "full_key", None))))
    return f"{key}: {text}" if key and key not in text else text
