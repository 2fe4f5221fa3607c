"""Options of TorchJD's methods, read from their constructors."""

import inspect
import math
import re
import types
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, make_dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import torch
from torch import Tensor, nn

from tartan import ConfigError, check_choice, suggest
from tartan_weightings.torchjd import EXTRA

MEANT: Mapping[str, str] = {
    "every": "Steps over which losses are averaged.",
    "lr": "Learning rate of the method's own parameters.",
}
"""Options that a method has here only, and what they mean."""
OURS = ("shape", "n_tasks", "update_weights_every")
"""Parameters that follow from the number of objectives, or that a step by step solution lacks."""
VALUES: Mapping[str, Mapping[str, Any]] = {
    "CAGrad": {"c": 0.4},
    "COSMOS": {"lambda_": 1.0},
    "FairGrad": {"alpha": 1.0},
    "Krum": {"n_byzantine": 0},
    "PBI": {"theta": 5.0},
    "STCH": {"mu": 0.1},
}
"""Values of parameters without a default: those of the papers."""


@dataclass(frozen=True)
class Parameter:
    """A parameter of a constructor that an option can give.

    Attributes:
        name: its name.
        kind: the option's type.
        default: the option's default.
        choices: the only values, where there are few.
        optional: for a vector, True where the constructor takes None.
    """

    name: str
    kind: Any
    default: Any
    choices: tuple[str, ...] = ()
    optional: bool = False

    @property
    def vector(self) -> bool:
        """Return whether it is a number for each objective."""
        return bool(self.kind == dict[str, float])


def parameters(cls: type[nn.Module]) -> list[Parameter]:
    """Return the parameters of a class that options can give.

    A parameter is left out where no YAML can write its value (a projector), or where it is known
    (the number of objectives).
    """
    hints = get_type_hints(cls.__init__)
    found = []
    for parameter in inspect.signature(cls).parameters.values():
        if parameter.name in OURS or parameter.name not in hints:
            continue
        default = VALUES.get(cls.__name__, {}).get(parameter.name, parameter.default)
        if (option := _option(parameter.name, hints[parameter.name], default)) is not None:
            found.append(option)
    return found


def _option(name: str, hint: Any, default: Any) -> Parameter | None:
    """Return the parameter of a type hint; None where an option cannot give it."""
    if get_origin(hint) is Literal:
        return Parameter(name, str, default, choices=get_args(hint))
    union = get_origin(hint) in (Union, types.UnionType)
    kinds = get_args(hint) if union else (hint,)
    for number in (bool, int, float):
        if number in kinds:
            return Parameter(name, number | None if type(None) in kinds else number, default)
    if Tensor in kinds:
        return Parameter(name, dict[str, float], {}, optional=type(None) in kinds)
    return None


def options_class(cls: type[nn.Module], own: Mapping[str, tuple[Any, Any]]) -> type:
    """Make the options' dataclass of a TorchJD class; `own` has types and defaults of more."""
    said = meanings(cls)
    made: list[tuple[str, Any, Any]] = []
    for parameter in parameters(cls):
        meant: Any = {"metadata": {"help": said.get(parameter.name, "")}}
        default: Any = (
            field(default_factory=dict, **meant)
            if parameter.vector
            else field(default=parameter.default, **meant)
        )
        made.append((parameter.name, parameter.kind, default))
    made += [
        (name, kind, field(default=default, metadata={"help": MEANT[name]}))
        for name, (kind, default) in own.items()
    ]
    name = f"{cls.__name__}Options"
    return make_dataclass(
        name, made, namespace={"__doc__": f"Options of TorchJD's {cls.__name__}."}
    )


def meanings(cls: type) -> dict[str, str]:
    """Return what TorchJD's docstrings say of a constructor's parameters, in a line each."""
    text = inspect.cleandoc(
        f"{cls.__doc__ or ''}\n\n{inspect.getattr_static(cls, '__init__').__doc__ or ''}"
    )
    found = re.findall(r":param (\w+):(.*?)(?=\n\s*:|\n\s*\n|\n\s*\.\.|\Z)", text, re.DOTALL)
    return {name: " ".join(said.split()) for name, said in found}


def construct(cls: type[nn.Module], options: Any, objectives: tuple[str, ...]) -> Any:
    """Make an object of a TorchJD class.

    Raises:
        ConfigError: a value cannot be used, or a package that TorchJD needs is not installed.
    """
    check_numbers(options)
    given: dict[str, Any] = {}
    for parameter in parameters(cls):
        value = getattr(options, parameter.name)
        if parameter.choices:
            check_choice(f"weighting.{parameter.name}", value, parameter.choices)
        given[parameter.name] = vector(parameter, value, objectives) if parameter.vector else value
    named = inspect.signature(cls).parameters
    given |= {name: len(objectives) for name in ("shape", "n_tasks") if name in named}
    try:
        return cls(**given)
    except ValueError as error:
        raise ConfigError(f"weighting: {' '.join(str(error).split())}") from error
    except ImportError as error:
        raise ConfigError(f"TorchJD lacks a package ({error}): {EXTRA}") from error


def check_numbers(options: Any) -> None:
    """ConfigError where a number is not finite."""
    for option in fields(options):
        value = getattr(options, option.name)
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigError(f"weighting.{option.name} is {value}: give a finite number")


def vector(
    parameter: Parameter, given: Mapping[str, float], objectives: tuple[str, ...]
) -> Tensor | None:
    """Return a vector option, [objectives] float.

    Nothing given stands for None where TorchJD takes that, for equal shares elsewhere.
    """
    if not given:
        count = len(objectives)
        return None if parameter.optional else torch.full((count,), 1 / count)
    place = f"weighting.{parameter.name}"
    if unknown := sorted(given.keys() - set(objectives)):
        raise ConfigError(
            f"{place}.{unknown[0]}: no such objective; {suggest(unknown[0], objectives)}"
        )
    for name in objectives:
        if not 0 <= given.get(name, -1) < math.inf:
            raise ConfigError(
                f"{place}.{name} is {given.get(name, 'missing')}: give every objective a finite "
                "number of at least 0, or none of them"
            )
    return torch.tensor([given[name] for name in objectives])


def plugin_name(cls: type[nn.Module]) -> str:
    """Return what a weighting of a TorchJD class is called, after the module that defines it."""
    return f"torchjd_{cls.__module__.rsplit('.', 1)[-1].strip('_')}"


def paper(cls: type[nn.Module]) -> str:
    """Return the title of the first work that the docstring of a TorchJD class refers to."""
    text = " ".join((cls.__doc__ or "").split())
    cited = re.search(r"(?<!:)`([^`<]+) <https?://", text)
    return cited.group(1) if cited else "TorchJD"
