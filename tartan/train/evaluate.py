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
    """The end task's outputs for rows in their order, [rows, ...] float32 on the CPU.

    Rows of similar length share a batch; the body runs without dropout.
    """
    task, training = model.end_task, model.training
    model.eval()
    order = sorted(range(len(rows)), key=lambda index: len(rows[index]["input_ids"]))
    outputs: list[Tensor] = []
    for start in range(0, len(order), batch_size):
        chosen = [rows[index] for index in order[start : start + batch_size]]
        batch = task.collate(chosen, generator(0, "evaluate", start)).to(runtime.device)
        with runtime.autocast():
            batch = task.prepare(batch)
            outputs.append(task.predict(model.body(batch.inputs), batch).float())
    model.train(training)
    return torch.cat(outputs).cpu()[torch.tensor(order).argsort()]


def evaluate(
    model: JointModel, rows: Sequence[Row], batch_size: int, runtime: Runtime
) -> dict[str, float]:
    """The end task's metrics on labelled rows."""
    return model.end_task.score(predict(model, rows, batch_size, runtime), rows)
