"""Predictions and scores of the end task."""

from collections.abc import Sequence

import torch
from torch import Tensor

from tartan.objective import Row
from tartan.seeding import generator
from tartan.train.model import JointModel
from tartan.train.runtime import Runtime


@torch.no_grad()
def predict(model: JointModel, rows: Sequence[Row], batch_size: int, runtime: Runtime) -> Tensor:
    """The end task's outputs for rows in their order, [items, ...] float32 on the CPU.

    The body runs without dropout.
    """
    task, training = model.end_task, model.training
    model.eval()
    outputs: list[Tensor] = []
    for start in range(0, len(rows), batch_size):
        chosen = [rows[index] for index in range(start, min(start + batch_size, len(rows)))]
        batch = task.collate(chosen, generator(0, "evaluate", start)).to(runtime.device)
        with runtime.autocast():
            batch = task.prepare(batch)
            outputs.append(task.predict(model.body(batch.inputs), batch).float())
    model.train(training)
    return torch.cat(outputs).cpu()


def evaluate(
    model: JointModel, rows: Sequence[Row], batch_size: int, runtime: Runtime
) -> dict[str, float]:
    """The end task's metrics on labelled rows. Rows of similar length share a batch."""
    ordered = sorted(rows, key=lambda row: len(row["input_ids"]))
    return model.end_task.score(predict(model, ordered, batch_size, runtime), ordered)
