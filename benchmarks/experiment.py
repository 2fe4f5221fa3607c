"""Build what tartan trains in a setting, and what all sides share."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from hydra import compose, initialize_config_module
from torch import nn

from benchmarks.models import SIZES, VOCABULARY, directory_of
from benchmarks.setting import Setting
from tartan.config.parse import parse
from tartan.config.store import register
from tartan.errors import ConfigError
from tartan.experiment.build import Experiment, build
from tartan.plugins import discover

STEPS = 1000
"""The budget that learning rates are scheduled over; nothing else depends on it."""


def experiment(setting: Setting, auxiliary: int = 1, *overrides: str) -> Experiment:
    """Build the end task with a number of `mlm` objectives on its own texts.

    Args:
        setting: what is trained. Its model is a directory or a hub id.
        auxiliary: how many `mlm` objectives there are; each draws rows and masks of its own.
        overrides: what else to say on the command line: `weighting=meta`.

    Raises:
        TartanError: the setting cannot be used.
    """
    more = [
        f"+objectives.mlm_{n}={{plugin: mlm, batch_size: {setting.batch}}}"
        for n in range(2, auxiliary + 1)
    ]
    return _build(
        setting,
        "model=auto",
        f"model.name='{setting.model}'",
        f"model.max_length={setting.length}",
        f"objectives=[{'mlm' if auxiliary else ''}]",
        *more,
        *overrides,
    )


@contextmanager
def with_model(setting: Setting) -> Iterator[Setting]:
    """Replace the name of a size by a model's directory, which exists while the block runs."""
    with ExitStack() as stack:
        if setting.model in SIZES:
            tokenizer = _build(
                setting,
                "objectives=[]",
                f"model.max_length={setting.length}",
                f"model.vocab_size={VOCABULARY}",
            ).texts.source.tokenizer
            made = directory_of(SIZES[setting.model], tokenizer, setting.length, setting.seed)
            setting = replace(setting, model=str(stack.enter_context(made)))
        yield setting


def _build(setting: Setting, *overrides: str) -> Experiment:
    plugins = discover()
    register(plugins)
    with initialize_config_module("tartan.configs", version_base="1.3"):
        composed = compose("config", [*_shared(setting), *overrides])
    return build(parse(composed), plugins)


def _shared(setting: Setting) -> Sequence[str]:
    """Return the overrides that do not depend on the side."""
    words = setting.words
    data = ["data=demo"]
    if words is not None:
        data += [f"data.min_words={words}", f"data.max_words={words}"]
    if setting.data != "demo":
        if words is not None:
            raise ConfigError(f"--words {words} is for the demo: leave it out with --data")
        if not Path(setting.data).is_dir():
            raise ConfigError(f"--data {setting.data} is not a directory: give one, or demo")
        data = ["data=jsonl", f"data.dir='{setting.data}'"]
    return [
        *data,
        f"batch_size={setting.batch}",
        f"device={setting.device}",
        f"precision={setting.precision}",
        f"seed={setting.seed}",
        f"steps={STEPS}",
    ]


@contextmanager
def without_dropout(*modules: nn.Module) -> Iterator[None]:
    """Run a block in which no part of the modules has dropout, even in training mode."""
    found = [
        (part, name, value)
        for module in modules
        for part in module.modules()
        for name, value in vars(part).items()
        if isinstance(value, float) and _is_rate(part, name)
    ]
    for part, name, _ in found:
        setattr(part, name, 0.0)
    try:
        yield
    finally:
        for part, name, value in found:
            setattr(part, name, value)


def _is_rate(part: nn.Module, name: str) -> bool:
    """Return whether a module's attribute is a dropout probability."""
    return "dropout" in name or (name == "p" and "Dropout" in type(part).__name__)
