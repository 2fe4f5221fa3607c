"""The model card: README.md of an exported model, with the metadata that the hub reads."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from tartan.report.pages import environment
from tartan.report.run_page import split_uses

TASKS: Mapping[str, tuple[str, str]] = {
    "classes": ("text-classification", "AutoModelForSequenceClassification"),
    "numbers": ("text-classification", "AutoModelForSequenceClassification"),
    "sets": ("text-classification", "AutoModelForSequenceClassification"),
    "tags": ("token-classification", "AutoModelForTokenClassification"),
}
"""The hub's name of a task, and what loads its models, by the kind of labels."""
OTHER = TASKS["classes"]


@dataclass(frozen=True)
class Origin:
    """Where a model comes from.

    Attributes:
        base: the pretrained model, a directory or an id of the hub; None for random weights.
        on_hub: whether `base` is an id of the hub.
        licence: of the base model, as its card names it; None where that is not known.
        data: the id of the data set on the hub; None where the data is not from there.
        command: the overrides that say what was trained.
        max_length: the longest sequence, in tokens.
        long: how longer texts were read: `truncate`, `head_tail` or `chunks`.
    """

    base: str | None
    on_hub: bool
    licence: str | None
    data: str | None
    command: Sequence[str]
    max_length: int
    long: str = "truncate"


def model_card(summary: Mapping[str, Any], origin: Origin) -> str:
    """Return the card of a run's model: YAML metadata of the hub, and a page in Markdown.

    Args:
        summary: the content of summary.json.
        origin: where the model comes from.
    """
    task = summary["task"]
    tag, loader = TASKS.get(task["kind"], OTHER)
    context = {
        "summary": summary,
        "origin": origin,
        "splits": split_uses(summary),
        "loader": loader,
        "pipeline": tag,
        "command": shlex.join(["python", "-m", "tartan", "run", *origin.command]),
    }
    page = environment(False).get_template("card.md").render(context)
    return f"---\n{metadata(summary, origin).to_yaml().strip()}\n---\n\n{page}"


def metadata(summary: Mapping[str, Any], origin: Origin) -> ModelCardData:
    """Return the metadata that the hub reads: base model, licence, data, task, scores."""
    task = summary["task"]
    tag, _ = TASKS.get(task["kind"], OTHER)
    scores = [
        EvalResult(
            task_type=tag,
            dataset_type=origin.data or task["name"],
            dataset_name=task["name"],
            dataset_split=split,
            metric_type=name,
            metric_name=name,
            metric_value=round(value, 6),
        )
        for split in ("test", "dev")
        for name, value in summary[split].items()
    ]
    return ModelCardData(
        base_model=origin.base if origin.on_hub else None,
        license=origin.licence,
        datasets=[origin.data] if origin.data else None,
        library_name="transformers",
        pipeline_tag=tag,
        tags=["tartan", *([] if origin.base else ["random-initialisation"])],
        model_name=f"{summary['primary']} on {task['name']}",
        eval_results=scores,
    )
