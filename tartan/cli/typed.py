"""Values of options of commands that Hydra does not read."""

from typing import Any


def typed(value: str) -> Any:
    """Return an option's value: lists, maps and quotes as `run` reads them, or the text.

    >>> typed("[a, b]"), typed("null"), typed("007"), typed('"my label"'), typed("{hub: x}")
    (['a', 'b'], None, '007', 'my label', {'hub': 'x'})
    >>> typed("[Größe, b]"), typed("[a")
    (['Größe', 'b'], '[a')
    """
    if not value.startswith(("[", "{", "'", '"')):
        return None if value == "null" else value
    from hydra.core.override_parser.overrides_parser import OverridesParser  # noqa: PLC0415
    from hydra.errors import HydraException  # noqa: PLC0415

    try:
        return OverridesParser.create().parse_override(f"x={value}").value()
    except HydraException:
        from tartan.config.maps import yaml_value  # noqa: PLC0415

        return value if (found := yaml_value(value)) is None else found
