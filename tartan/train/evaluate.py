"""Predictions and scores of the end task."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from tartan.batch import Row
from tartan.seeding import generator
from tartan.train import out_of_memory
from tartan.train.model import JointModel
from tartan.train.runtime import Runtime


@torch.no_grad()
def predict(
    model: JointModel,
    rows: Sequence[Row],
    batch_size: int,
    runtime: Runtime,
    between: Callable[[], None] = lambda: None,
) -> Tensor:
    """The end task's outputs for rows in their order, [items, ...] float32 on the CPU.

    The body runs without dropout.

    Args:
        model: body and objectives.
        rows: labelled rows.
        batch_size: how many are read at once.
        runtime: device and precision.
        between: called before each batch; what it raises ends the evaluation.

    Raises:
        OutOfMemoryError: a batch is too large.
    """
    task, training = model.end_task, model.training
    model.eval()
    outputs: list[Tensor] = []
    for start in range(0, len(rows), batch_size):
        between()
        chosen = [rows[index] for index in range(start, min(start + batch_size, len(rows)))]
        batch = task.collate(chosen, generator(0, "evaluate", start))
        place = f"evaluation, {out_of_memory.batch_shape(batch.inputs.lengths)}"
        with out_of_memory.explained(runtime, place, "lower eval.batch_size or model.max_length"):
            batch = batch.to(runtime.device)
            with runtime.autocast():
                batch = task.prepare(batch)
                outputs.append(task.predict(model.body(batch.inputs), batch).float())
    model.train(training)
    return torch.cat(outputs).cpu()


def evaluate(
    model: JointModel,
    rows: Sequence[Row],
    batch_size: int,
    runtime: Runtime,
    between: Callable[[], None] = lambda: None,
) -> dict[str, float]:
    """The end task's metrics on labelled rows; as `predict`, rows of similar length share a batch.

    Args and errors are those of `predict`.
    """
    scores, _ = evaluate_rows(model, rows, batch_size, runtime, between)
    return scores


def evaluate_rows(
    model: JointModel,
    rows: Sequence[Row],
    batch_size: int,
    runtime: Runtime,
    between: Callable[[], None] = lambda: None,
) -> tuple[dict[str, float], list[Tensor]]:
    """As `evaluate`, with each row's outputs [items, ...], in the order of the rows."""
    found = list(rows)
    order = sorted(range(len(found)), key=lambda row: len(found[row]["input_ids"]))
    ordered = [found[row] for row in order]
    outputs = predict(model, ordered, batch_size, runtime, between)
    items = [len(row["label"]) if isinstance(row["label"], list) else 1 for row in ordered]
    of_row = dict(zip(order, outputs.split(items), strict=True))
    return model.end_task.score(outputs, ordered), [of_row[row] for row in range(len(found))]
