"""`python -m tartan new`: a small installable plugin distribution to start from."""

import os
import re
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from string import Template

from tartan.errors import ConfigError, suggest
from tartan.experiment.schedule import can_name
from tartan.files import write_whole
from tartan.plugins import discover

KINDS: Mapping[str, tuple[str, str]] = {
    "objective": (
        "objectives/{name}_domain.yaml",
        "    python -m tartan run 'objectives=[{name}]' weighting=meta",
    ),
    "weighting": (
        "weighting/{name}_slow.yaml",
        "    python -m tartan run 'objectives=[mlm]' weighting={name}",
    ),
}
"""The example configuration file of each kind, and a command that uses the plugin."""


def main(arguments: Sequence[str]) -> int:
    """Write `tartan-<name>/` to the working directory, all of it or nothing.

    Raises:
        ConfigError: the arguments are invalid.
        StorageError: it cannot be written.
    """
    if not arguments or arguments[0] not in KINDS:
        kind = suggest(arguments[0], KINDS) if arguments else "choose from: objective, weighting"
        raise ConfigError(f"usage: python -m tartan new objective|weighting NAME ({kind})")
    kind, *names = arguments
    if len(names) != 1:
        problem = f"'{names[1]}' is one argument too many" if names else "NAME is missing"
        raise ConfigError(f"{problem}: give python -m tartan new {kind} NAME")
    (name,) = names
    _check_name(kind, name)
    directory = Path(f"tartan-{name.replace('_', '-')}")
    if os.path.lexists(directory):
        raise ConfigError(f"{directory} already exists: choose another name, or move it")
    write_whole(directory, partial(_write, distribution(kind, name)))
    print(f"Wrote {directory}/, a working plugin. To develop it:")
    print(f"    pip install -e '{directory}[dev]' && python -m tartan check {name}")
    return 0


def distribution(kind: str, name: str) -> dict[str, str]:
    """Return the files of a new plugin distribution, path to text."""
    module = f"tartan_{name}"
    config, use = (text.format(name=name) for text in KINDS[kind])
    values = {
        "kind": kind,
        "name": name,
        "distribution": f"tartan-{name.replace('_', '-')}",
        "module": module,
        "class_name": "".join(p.capitalize() for p in (*name.split("_"), kind)),
        "use": use,
    }
    templates = {
        "pyproject.toml": "common/pyproject.toml",
        "README.md": "common/README.md",
        f"{module}/__init__.py": f"{kind}/module.py",
        f"{module}/configs/__init__.py": "common/configs_init.py",
        f"{module}/configs/{config}": f"{kind}/config.yaml",
        f"tests/test_{name}.py": f"{kind}/test.py",
    }
    return {path: _fill(template, values) for path, template in templates.items()}


def _check_name(kind: str, name: str) -> None:
    """Raise ConfigError unless the name is valid, one that a run accepts, and unused."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
        raise ConfigError(
            f"'{name}' is not a valid plugin name: use a-z, 0-9 and single _, and start with a "
            "letter"
        )
    auxiliary = name.endswith("_aux")  # the name of an end task's configuration as auxiliary
    if kind == "objective" and (auxiliary or not can_name(name)):
        raise ConfigError(f"no objective can have the name '{name}': choose another")
    if find_spec(f"tartan_{name}") or (files("tartan.configs") / f"{kind}s/{name}.yaml").is_file():
        raise ConfigError(f"the name '{name}' is already used by tartan: choose another")
    plugins = discover()
    taken = plugins.objectives.get(name) or plugins.weightings.get(name)
    if taken:
        raise ConfigError(
            f"the name '{name}' is already used by {taken.distribution}: choose another"
        )


def _write(texts: Mapping[str, str], directory: Path) -> None:
    """Fill a directory with files, path to text."""
    for path, text in texts.items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_text(text, encoding="utf-8")


def _fill(template: str, values: Mapping[str, str]) -> str:
    """Return a template's text with its values filled in."""
    text = (files("tartan.cli") / "templates" / f"{template}.template").read_text(encoding="utf-8")
    return Template(text).substitute(values)
