"""Choices of configuration groups: `weighting=meta`, `objectives=[mlm]`, and none at all."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

from hydra.core.override_parser.types import Override

from tartan.errors import ConfigError, suggest

EMPTY: Mapping[str, str] = MappingProxyType({"objectives": "[]", "experiment": "none"})
"""Groups that may be empty, and the overrides by which Hydra leaves them empty."""


class Missing:
    """Plugins that are not installed."""

    commands: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """By the beginning of their names, the command that installs what they need."""

    @classmethod
    def remedy(cls, name: str) -> str | None:
        """Return what to do to have a plugin; None if it is not known."""
        found = [command for start, command in cls.commands.items() if name.startswith(start)]
        return f"install it by {found[0]}" if found else None


def choose(
    override: Override,
    known: Sequence[str],
    chosen: Collection[str],
    any_name: bool,
) -> str:
    """Return a group's override as Hydra takes it.

    Args:
        override: as typed.
        known: the group's options.
        chosen: the groups that the configuration chooses an option of.
        any_name: whether a further directory may hold options that `known` lacks.

    Raises:
        ConfigError: an option that does not exist, no option where one is needed, or a form that
            does not choose.
    """
    text, group = str(override.input_line), override.key_or_group
    values = [] if override.is_delete() else list(_values(override))
    names = [name for value in values for name in (value if isinstance(value, list) else [value])]
    for name in names:
        if not any_name and name not in known and not (name in values and _is_empty(name)):
            shown = "null" if name is None else str(name)
            hint = Missing.remedy(shown) or suggest(shown, known)
            raise ConfigError(f"{group}={shown}: no such option; {hint}")
    if override.package is not None or (group not in chosen and group not in EMPTY):
        return text
    if override.is_add() or override.is_force_add():
        raise ConfigError(f"'{text}': write {text.lstrip('+')}, without the plus sign")
    if not override.is_delete() and not any(map(_is_empty, values)):
        return text
    if group not in EMPTY:
        typed = f"~{group}" if override.is_delete() else f"{group}={text.partition('=')[2]}"
        raise ConfigError(f"{typed}: {group} cannot be empty; choose from: {', '.join(known)}")
    if override.is_sweep_override():
        texts = override.sweep_string_iterator()
        sweep = (EMPTY[group] if one in ("null", "", "''", "[]") else one for one in texts)
        return f"{group}={','.join(sweep)}"
    return f"{group}={EMPTY[group]}"


def _values(override: Override) -> Iterable[Any]:
    """Return what an override selects, in each job of a sweep."""
    return override.sweep_iterator() if override.is_sweep_override() else [override.value()]


def _is_empty(value: Any) -> bool:
    return value is None or value in ("", [])
