"""Collapse of the weights: the end task counts for almost nothing in the update."""

from collections.abc import Mapping, Sequence

from tartan.weighting import Weighting

LEAST = 0.1
"""The end task has collapsed below this times an equal share: with 2 objectives, below 5 %."""


def collapsed_share(
    weighting: Weighting, names: Sequence[str], primary: str, means: Mapping[str, float]
) -> float | None:
    """Return the end task's share of the weights where it has collapsed.

    Args:
        weighting: the stage's. Only weights that are learned shares can collapse: others are the
            user's choice, or depend on the gradients' lengths.
        names: the objectives that it weighs.
        primary: the end task's name.
        means: metrics since the last line; `train/weight/<objective>` are the weights.

    Returns:
        The share, 0 to 1; None where it has not collapsed, or the end task does not train.
    """
    if primary not in names or not weighting.share_lr:
        return None
    weights = {name: means[f"train/weight/{name}"] for name in names}
    total = sum(weights.values())
    share = weights[primary] / total if total > 0 else 0.0
    return share if share < LEAST / len(names) else None


def collapse_notice(
    weighting: Weighting, primary: str, share: float, objectives: int, step: int
) -> str:
    """Return the line that reports a collapse; arguments as in `collapsed_share`."""
    return (
        f"The weight of {primary}, the end task, is {share:.2%} of all at step {step}, less than "
        f"{LEAST:g} of an equal share (1/{objectives}). Training continues; lower "
        f"weighting.{weighting.share_lr} if the weights move too fast."
    )
