"""The end task as auxiliary objectives use it: its head predicts, and is trained with theirs."""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from tartan.batch import Batch, LabelKind, Row
from tartan.errors import ConfigError
from tartan.objective import PrimaryObjective

PLACEHOLDERS: Mapping[LabelKind, int | float | list[int]] = {
    LabelKind.CLASS: 0,
    LabelKind.NUMBER: 0.0,
    LabelKind.SETS: [],
}
"""A valid label of each kind, for rows whose label is not read."""


class LentEndTask:
    """The `tartan.EndTask` of one objective.

    It is not an `nn.Module`: the borrower does not own, save or move the end task's parameters.
    """

    def __init__(self, end_task: PrimaryObjective, borrower: str, *, pairs: bool) -> None:
        """Lend the end task to an objective.

        Args:
            end_task: the end task.
            borrower: the objective's name.
            pairs: whether the end task's rows are pairs of texts.
        """
        self._end_task, self._borrower, self._pairs = end_task, borrower, pairs

    @property
    def reads(self) -> LabelKind:
        """The type of the end task's labels."""
        return self._end_task.reads

    def collate(self, rows: Sequence[Row], rng: torch.Generator) -> Batch:
        """Return the end task's batch of labelled rows."""
        return self._end_task.collate(rows, rng)

    def unlabelled(self, rows: Sequence[Row], rng: torch.Generator) -> Batch:
        """Return a batch of rows without labels. ConfigError if the end task labels words."""
        if self.reads not in PLACEHOLDERS:
            raise ConfigError(
                f"objectives.{self._borrower}: the end task labels words, and unlabelled text does "
                "not mark words: use labelled rows"
            )
        label = PLACEHOLDERS[self.reads]
        return self._end_task.collate([{**row, "label": label} for row in rows], rng)

    def check_unlabelled(self, option: str) -> None:
        """Raise ConfigError if the end task reads words that are marked, or pairs of texts."""
        why = None
        if self.reads not in PLACEHOLDERS:
            why = "the end task labels words, which unlabelled texts do not mark"
        elif self._pairs:
            why = "the end task's rows are pairs of texts, and unlabelled texts are single"
        if why:
            raise ConfigError(f"{option}: {why}; set it to labelled.")

    def prepare(self, batch: Batch) -> Batch:
        """Return the batch as the end task prepares it."""
        return self._end_task.prepare(batch)

    def predict(self, hidden: Tensor, batch: Batch) -> Tensor:
        """Return the head's outputs [items, ...]."""
        return self._end_task.predict(hidden, batch)

    def criterion(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Return the end task's loss of outputs, summed over the items: [] float."""
        return self._end_task.criterion(outputs, batch)

    def parameters(self) -> Iterable[nn.Parameter]:
        """Return the end task's own parameters."""
        return self._end_task.parameters()
