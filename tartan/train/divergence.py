"""Errors of a training that diverges."""

import math
from collections.abc import Mapping

from tartan.errors import DivergenceError


def check_means(means: Mapping[str, float], step: int) -> None:
    """DivergenceError if a training metric of the last steps up to `step` is not finite."""
    for key, value in means.items():
        if not math.isfinite(value):
            raise DivergenceError(
                f"{key} is {value} at step {step}: lower optimizer.body_lr and "
                "optimizer.head_lr, or clip harder"
            )


def diverged(where: str, skipped: int | None) -> DivergenceError:
    """Return the error of a non-finite step.

    Args:
        where: what is not finite, and where.
        skipped: how many steps were skipped, as many as may be; None where none may be.
    """
    if skipped is not None:
        return DivergenceError(
            f"{where}: {skipped} steps were skipped, the most max_skipped allows"
        )
    return DivergenceError(
        f"{where}: lower optimizer.body_lr and optimizer.head_lr, fix the rows, or skip such steps "
        "with on_nonfinite=skip"
    )
