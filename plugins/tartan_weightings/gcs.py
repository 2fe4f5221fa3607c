"""Gradient cosine similarity: an auxiliary counts where it helps (Du et al., 2018)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from tartan import GramianWeighting, Needs, Signals, Weighting, cosines, hookimpl


@dataclass
class GCSOptions:
    """`gcs` has no options."""


class GCS(GramianWeighting):
    """The end task counts 1, an auxiliary its cosine with the end task, at least 0.

    With g_0 the end task's gradient and g_i an auxiliary's (section 3.2, weighted version),

        w_0 = 1,    w_i = max(0, cos(g_0, g_i))

    so that the update never makes an angle of more than 90 degrees with g_0.
    """

    Options = GCSOptions
    needs: ClassVar[Needs] = Needs.LOSSES | Needs.GRADIENTS
    paper = "Du et al., Adapting auxiliary losses using gradient similarity, 2018"
    use = "when some auxiliaries may hurt: one that conflicts in a step is left out of it"
    end_task_first = True

    def combine(self, signals: Signals) -> Tensor:
        """Return 1 for the end task and the clipped cosines for the rest, [objectives]."""
        assert signals.gramian is not None  # it is in `needs`
        return first_cosines(signals.gramian)


def first_cosines(gramian: Tensor) -> Tensor:
    """Return max(0, cos(g_0, g_i)) with 1 for the first, from a Gramian: [objectives]."""
    weights = cosines(gramian)[0].clamp(min=0)
    return torch.cat([torch.ones_like(weights[:1]), weights[1:]])


@hookimpl
def tartan_weightings() -> dict[str, type[Weighting]]:
    """Offer `gcs`."""
    return {"gcs": GCS}
