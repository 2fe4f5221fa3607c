"""Poolers of base models, which belong to classification heads."""

from torch import Tensor, nn
from transformers import PreTrainedModel


class NoPooler(nn.Module):
    """Replaces the pooler in families that always call it."""

    def forward(self, hidden: Tensor) -> None:
        """Return no pooled output."""


def remove_pooler(model: PreTrainedModel) -> None:
    """Remove the pooler of a base model: it belongs to a classification head."""
    if (pooler := getattr(model, "pooler", None)) is not None:
        # Families with a bare Linear apply an activation to it, and test for None.
        set_pooler(model, None if isinstance(pooler, nn.Linear) else NoPooler())


def set_pooler(model: PreTrainedModel, pooler: nn.Module | None) -> None:
    """Set the pooler of a base model, if its family has one."""
    if hasattr(model, "pooler"):
        setattr(model, "pooler", pooler)  # noqa: B010  (a module, or None)
