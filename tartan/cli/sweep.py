"""Several runs, by `run -m`: overrides that tartan adds to those of all runs."""

from collections.abc import Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser

DIR = "hydra.sweep.dir"
SUBDIR = "hydra.sweep.subdir"
OPTUNA = "hydra/sweeper=optuna"
FAILURES = "hydra.sweeper.max_failure_rate"
"""Optuna's sweeper stops where more of its jobs fail; by its own default at the first."""


def additions(texts: Sequence[str]) -> list[str]:
    """Return the overrides that a sweep is given besides those that were typed.

    Args:
        texts: the overrides of all runs, which Hydra accepts.
    """
    rate = OPTUNA in texts and not any(text.lstrip("+").startswith(FAILURES) for text in texts)
    return [*naming(texts), *([f"{FAILURES}=1.0"] if rate else [])]


def of_sweep(message: str) -> str:
    """Return what is wrong with a run as it is for a job of a sweep, whose directory gives its own.

    >>> of_sweep("Choose another run_dir")
    'Choose another hydra.sweep.dir'
    """
    return message.replace("another run_dir", f"another {DIR}")


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
