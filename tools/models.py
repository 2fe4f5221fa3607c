"""The page docs/models.md: a run of each family that transformers can build, and what came of it.

    python -m tools.models > docs/models.md

Each family is built with tiny random weights, trained for two steps with META and one objective on
unlabelled text, and exported. Plain transformers then reads the exported model, and its logits are
compared with those that the run scored.
"""

import contextlib
import io
import json
import random
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from transformers import (
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
)

from tartan.cli import main as tartan
from tartan.experiment import finish
from tartan.quiet import quiet
from tartan.testing.models import save_tiny, words
from tartan.train.evaluate import evaluate

ENCODERS = (
    "bert", "roberta", "xlm-roberta", "camembert", "distilbert", "electra", "albert", "deberta",
    "deberta-v2", "mpnet", "modernbert", "eurobert", "nomic_bert", "gte", "jina_embeddings_v3",
    "big_bird", "convbert", "fnet", "xlnet", "funnel", "longformer", "neomme", "t5", "mt5", "umt5",
    "t5gemma",
)  # fmt: skip
DECODERS = ("gpt2", "llama", "qwen2", "qwen3", "smollm3", "gemma", "mistral")
FAMILIES = (*ENCODERS, *DECODERS)

HEADS: Mapping[str, str] = {
    **dict.fromkeys((*DECODERS, "xlnet"), "CausalLM"),
    **dict.fromkeys(("t5", "mt5", "umt5", "t5gemma"), "Seq2SeqLM"),
}
"""The head that a family's checkpoint has; MaskedLM in all others."""
OBJECTIVES: Mapping[str, str] = {
    **dict.fromkeys(DECODERS, "clm"),
    **dict.fromkeys(("xlnet", "t5", "mt5", "umt5", "t5gemma"), "simcse"),
}
"""The objective on unlabelled text; mlm in all others."""
TAGGED = ("funnel", "longformer", "t5", "mt5", "umt5")
"""Families whose model for sequences reads more than the body: their end task is `tokens`."""

AGREEMENT = 1e-5
"""The largest difference of logits, relative to the largest logit where that is above 1."""
ROWS = {"train": 16, "dev": 9, "test": 4}


@dataclass(frozen=True)
class Facts:
    """What came of a family's run.

    Attributes:
        family: transformers' model type.
        reads: `packed`, `padded`, or `by length`; empty if it was refused.
        direction: `both ways` or `left to right`.
        end_task: `classification` or `tokens`.
        objective: what was trained beside the end task.
        difference: the largest difference of logits, in units of `AGREEMENT`'s.
        refused: why it cannot be used; empty if it can.
    """

    family: str
    reads: str = ""
    direction: str = ""
    end_task: str = ""
    objective: str = ""
    difference: float = 0.0
    refused: str = ""

    def row(self) -> str:
        """Return the row of the page's table."""
        if self.refused:
            return f"| {self.family} | refused | | | | {self.refused} |"
        agrees = "yes" if self.difference <= AGREEMENT else f"no: {self.difference:.0e}"
        facts = self.reads, self.direction, self.end_task, self.objective, agrees
        return f"| {self.family} | {' | '.join(facts)} |"


def examine(family: str, directory: Path) -> Facts:
    """Train a tiny model of a family and export it; return what came of it.

    Args:
        family: one of `FAMILIES`.
        directory: an empty one, for data, model and run.
    """
    kind = HEADS.get(family, "MaskedLM")
    torch.manual_seed(0)
    model = save_tiny(directory / "model", family, kind, bare=family in DECODERS)
    end_task = "tokens" if family in TAGGED else "classification"
    data, run = write_data(directory / "data", end_task), directory / "run"
    objective = OBJECTIVES.get(family, "mlm")
    arguments = [
        "run", "data=jsonl", f"data.dir={data}", f"primary={end_task}", "model=auto",
        f"model.name={model}",
        "model.max_length=32", f"objectives=[{objective}]", "weighting=meta", "steps=2",
        "batch_size=4", "eval.every=2", "device=cpu", "precision=fp32", "report=false",
        f"run_dir={run}", "cache=false", "schedule.stages.finetune.epochs=0.5",
    ]  # fmt: skip
    scored: list[Tensor] = []

    def noted(*given: Any, **options: Any) -> Any:
        found = evaluate(*given, **options)
        if options.get("choosing"):  # dev, not test
            scored[:] = found[1]
        return found

    out, err = io.StringIO(), io.StringIO()
    with (
        patch.object(finish, "evaluate", noted),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        status = tartan(arguments)
    if status != 0:
        (line,) = err.getvalue().strip().splitlines()
        return Facts(family, refused=_reason(line, model))
    (reads, direction) = _printed(out.getvalue())
    wrong = difference(run / "model", data, scored)
    return Facts(family, reads, direction, end_task, objective, wrong)


def difference(model: Path, data: Path, scored: Iterable[Tensor]) -> float:
    """Return how far an exported model's logits of dev are from those that a run scored."""
    lines = (data / "dev.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    tagged = "tags" in rows[0]
    auto = AutoModelForTokenClassification if tagged else AutoModelForSequenceClassification
    found = []
    with quiet(), torch.no_grad():
        tokenizer = AutoTokenizer.from_pretrained(model)
        loaded = auto.from_pretrained(model).eval()
        for row in rows:
            text = " ".join(row["tokens"]) if tagged else row["text"]
            logits = loaded(**tokenizer(text, truncation=True, return_tensors="pt")).logits[0]
            # Each word is a token, between the two that the tokenizer adds.
            found.append(logits[1:-1] if tagged else logits[None])
    expected = torch.cat(list(scored))
    wrong = (torch.cat(found) - expected).abs().max()
    return float(wrong / expected.abs().max().clamp(min=1))


def write_data(directory: Path, end_task: str) -> Path:
    """Write a task of random words of `tiny_tokenizer`; return the directory."""
    rng = random.Random(0)
    directory.mkdir()
    for split, rows in ROWS.items():
        texts = [rng.choices(words(), k=rng.randint(2, 24)) for _ in range(rows)]
        lines = [json.dumps(_row(text, number, end_task)) for number, text in enumerate(texts)]
        (directory / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return directory


def _row(text: list[str], number: int, end_task: str) -> Mapping[str, Any]:
    """Return a row of a task, with a class of the text or a tag of each word."""
    if end_task == "tokens":
        return {"tokens": text, "tags": ["AB"[len(word) % 2] for word in text]}
    return {"text": " ".join(text), "label": str(number % 2)}


def page(facts: Iterable[Facts]) -> str:
    """Return the page docs/models.md."""
    text = Path(__file__).with_name("models.md").read_text(encoding="utf-8")
    return text.replace("{table}", "\n".join(each.row() for each in facts))


def _printed(output: str) -> tuple[str, str]:
    """Return how a run says that the body reads."""
    line = next(line for line in output.splitlines() if line.startswith("reads "))
    reads, _, rest = line.removeprefix("reads").strip().partition(", ")
    return reads, rest.partition(" (")[0]


def _reason(line: str, model: Path) -> str:
    """Return a refusal without the program's and the directory's name."""
    text = line.removeprefix("tartan: ").replace(f"model.name={model} (", "the model (")
    return text.replace("|", "\\|")


def main() -> None:
    """Print the page."""
    facts = []
    with tempfile.TemporaryDirectory() as scratch:
        for family in sys.argv[1:] or FAMILIES:
            directory = Path(scratch, family)
            directory.mkdir()
            facts.append(examine(family, directory))
            print(facts[-1].row(), file=sys.stderr)
    print(page(facts), end="")


if __name__ == "__main__":
    main()
