"""What a run does after training: evaluate on test once, export the model, write the results."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from tartan.body import LiftedHead, export, export_adapter
from tartan.data.long_texts import LONG_TEXTS, WAYS
from tartan.distributed.sharded import whole
from tartan.experiment.build import Experiment
from tartan.experiment.identity import Identity
from tartan.experiment.notices import prediction_notices
from tartan.experiment.origin import origin_of
from tartan.experiment.plan import Plan
from tartan.experiment.predictions import predictions, without_texts
from tartan.experiment.resume import Change
from tartan.experiment.schedule import trains_end_task_head
from tartan.experiment.summary import summarise
from tartan.report.card import model_card
from tartan.report.pages import spared
from tartan.report.record import (
    MODEL,
    PREDICTIONS,
    REPORT,
    SUMMARY,
    write_json,
    write_lines,
)
from tartan.report.run_page import write_run_report
from tartan.train.evaluate import evaluate
from tartan.train.progress import Progress


def finish(
    plan: Plan,
    experiment: Experiment,
    progress: Progress,
    identity: Identity,
    changes: Sequence[Change],
) -> dict[str, Any]:
    """Evaluate on test once, export the model, write its predictions on dev, and sum the run up."""
    config, ranks, setup, texts = plan.config, plan.ranks, experiment.setup, experiment.texts
    model, rows = setup.model, config.eval.batch_size
    dev, outputs = evaluate(model, setup.dev, rows, setup.runtime, ranks=ranks, choosing=True)
    test, _ = evaluate(model, texts.split("test"), rows, setup.runtime, ranks=ranks)
    scores, peak = {"dev": dev, "test": test}, ranks.largest(setup.runtime.peak_memory())

    def write() -> dict[str, Any]:
        summary = summarise(config, experiment, progress, scores, identity, changes, peak)
        _export(plan, experiment, outputs, summary)
        write_json(plan.directory / SUMMARY, summary)
        return summary

    with whole(model, here=ranks.first):
        return ranks.by_first(write)


def _export(
    plan: Plan, experiment: Experiment, outputs: Sequence[Tensor], summary: Mapping[str, Any]
) -> None:
    """Write the model with its card, and its predictions on dev."""
    task, model, texts = experiment.task, experiment.setup.model, experiment.texts
    head = model.end_task.head
    assert isinstance(head, LiftedHead)  # `build` refuses others
    source, directory, config = texts.source, plan.directory, head.model.config
    config.update(model.end_task.exported_settings())
    if source.long != WAYS[0] or hasattr(config, LONG_TEXTS):
        config.update({LONG_TEXTS: {"long": source.long, "max_chunks": source.max_chunks}})
    card = model_card(summary, origin_of(plan.config, summary, plan.command, source))
    if source.lora.r and source.lora.export == "adapter":
        export_adapter(model.body, head, source, directory / MODEL, card)
    else:
        export(model.body, head, source.tokenizer, directory / MODEL, card)
    threshold = getattr(config, "threshold", 0.5)
    dev = experiment.setup.dev
    predicted = predictions(task.dev, dev, outputs, task.kind, task.labels, threshold)
    if trains_end_task_head(model, experiment.stages):
        for notice in prediction_notices(predicted, task):
            print(notice)
    if not plan.config.report_examples:
        predicted = [without_texts(line) for line in predicted]
    write_lines(plan.directory / PREDICTIONS, predicted)


def write_page(plan: Plan) -> None:
    """Write the page of a complete run, if it is missing."""
    if plan.config.report and not (plan.directory / REPORT).exists():
        with spared(REPORT):
            write_run_report(plan.directory, plan.config.report_examples)
