"""Predictions and scores of the end task."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from tartan.batch import LabelKind, Row
from tartan.distributed.ranks import Ranks
from tartan.evaluating import evaluating
from tartan.seeding import generator
from tartan.train import out_of_memory
from tartan.train.model import JointModel
from tartan.train.runtime import Runtime

ALONE = Ranks()
"""One process, which reads everything."""


@torch.no_grad()
def predict(
    model: JointModel,
    rows: Sequence[Row],
    batch_size: int,
    runtime: Runtime,
    between: Callable[[], None] = lambda: None,
    ranks: Ranks = ALONE,
) -> Tensor:
    """Compute the end task's outputs for rows in their order, [items, ...] float32 on the CPU.

    They are in the labels' unit. The body runs without dropout and in float32 whatever the
    precision of training, so that the exported model, which is float32, gives the same.

    Args:
        model: body and objectives.
        rows: labelled rows.
        batch_size: how many are read at once.
        runtime: the device.
        between: called before each batch; what it raises ends the evaluation.
        ranks: the processes that share the batches; each receives all outputs.

    Raises:
        OutOfMemoryError: a batch is too large.
    """
    task = model.end_task
    outputs: dict[int, Tensor] = {}
    starts = range(0, len(rows), batch_size)
    with evaluating(model), model.body.precise():
        for number in ranks.evaluated(len(starts)):
            between()
            start = starts[number]
            chosen = [rows[index] for index in range(start, min(start + batch_size, len(rows)))]
            batch = runtime.pin(task.collate(chosen, generator(0, "evaluate", start)))
            place = f"evaluation, {out_of_memory.batch_shape(batch.inputs.lengths)}"
            remedy = "lower eval.batch_size or model.max_length"
            with out_of_memory.explained(runtime, place, remedy):
                batch = task.prepare(batch.to(runtime.device))
                outputs[number] = task.predict(model.body(batch.inputs), batch).float()
    gathered = ranks.gather(outputs)
    every = [gathered[number] for number in sorted(gathered)]
    return task.in_label_units(torch.cat(every).cpu())


def evaluate(
    model: JointModel,
    rows: Sequence[Row],
    batch_size: int,
    runtime: Runtime,
    between: Callable[[], None] = lambda: None,
    ranks: Ranks = ALONE,
    *,
    choosing: bool = False,
) -> tuple[dict[str, float], list[Tensor]]:
    """Compute the end task's metrics on labelled rows; rows of similar length share a batch.

    `choosing` is True for dev: the end task may choose a threshold by these rows. Other arguments
    and errors are those of `predict`.

    Returns:
        The metrics, and the outputs [items, ...] of each row, in the order of rows.
    """
    given = list(rows)
    order = sorted(range(len(given)), key=lambda row: len(given[row]["input_ids"]))
    ordered = [given[row] for row in order]
    outputs = predict(model, ordered, batch_size, runtime, between, ranks)
    tagged = model.end_task.reads is LabelKind.TAGS
    items = [len(row["label"]) if tagged else 1 for row in ordered]
    if choosing:
        model.end_task.choose(outputs, ordered)
    of_row = dict(zip(order, outputs.split(items), strict=True))
    return model.end_task.score(outputs, ordered), [of_row[row] for row in range(len(given))]
