"""Configurations and experiments of overrides."""

from hydra import compose, initialize_config_module

from tartan.config.overrides import accept
from tartan.config.parse import parse
from tartan.config.schema import Config
from tartan.config.store import register
from tartan.experiment.build import Experiment, build
from tartan.plugins import Plugins, discover


def configured(*overrides: str, plugins: Plugins | None = None, typed: bool = False) -> Config:
    """The configuration of a run.

    Args:
        overrides: the last of an option counts.
        plugins: what it may name instead of the plugins that are installed.
        typed: whether overrides are first accepted as the command line does it, half a second.
    """
    register(plugins or discover())
    accepted = accept(overrides) if typed else [*overrides]
    with initialize_config_module("tartan.configs", version_base="1.3"):
        return parse(compose("config", accepted))


def built(*overrides: str, plugins: Plugins | None = None, typed: bool = False) -> Experiment:
    """What such a run would train; arguments as in `configured`."""
    return build(configured(*overrides, plugins=plugins, typed=typed), plugins or discover())
