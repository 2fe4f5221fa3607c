"""Several runs, by `run -m`: their directories are named by what differs."""

from collections.abc import Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser

SUBDIR = "hydra.sweep.subdir"


def naming(texts: Sequence[str]) -> list[str]:
    """Return Hydra's overrides by which the directory of each run is named by what differs.

    Args:
        texts: the overrides of all runs, which Hydra accepts.

    Returns:
        Nothing where the user names the directories, or where no override is swept.
    """
    overrides = OverridesParser.create().parse_overrides(list(texts))
    keys = [str(override.key_or_group) for override in overrides]
    if SUBDIR in keys or not any(override.is_sweep_override() for override in overrides):
        return []
    swept = {str(o.key_or_group) for o in overrides if o.is_sweep_override()}
    same = ",".join(sorted(set(keys) - swept))
    return [
        f"{SUBDIR}=${{hydra.job.override_dirname}}",
        f"hydra.job.config.override_dirname.exclude_keys=[{same}]",
    ]
