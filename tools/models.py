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
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from tartan.cli import main as tartan
from tartan.experiment import finish
from tartan.quiet import quiet
from tartan.testing.models import save_tiny, words
from tartan.train.evaluate import evaluate_rows

ENCODERS = (
    "bert", "roberta", "xlm-roberta", "camembert", "distilbert", "electra", "albert", "deberta",
    "deberta-v2", "mpnet", "modernbert", "eurobert", "nomic_bert", "gte", "jina_embeddings_v3",
    "big_bird", "convbert", "fnet", "funnel", "longformer", "neomme", "xlnet", "t5",
)  # fmt: skip
DECODERS = ("gpt2", "llama", "qwen2", "qwen3", "smollm3", "gemma", "mistral")
FAMILIES = (*ENCODERS, *DECODERS)

HEADS: Mapping[str, str] = {
    **dict.fromkeys((*DECODERS, "xlnet"), "CausalLM"),
    "t5": "Seq2SeqLM",
}
"""The head that a family's checkpoint has; MaskedLM in all others."""
OBJECTIVES: Mapping[str, str] = {**dict.fromkeys(DECODERS, "clm"), "xlnet": "simcse"}
"""The objective on unlabelled text; mlm in all others."""

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
        objective: what was trained beside the end task.
        difference: the largest difference of logits, in units of `AGREEMENT`'s.
        refused: why it cannot be used; empty if it can.
    """

    family: str
    reads: str = ""
    direction: str = ""
    objective: str = ""
    difference: float = 0.0
    refused: str = ""

    def row(self) -> str:
        """Return the row of the page's table."""
        if self.refused:
            return f"| {self.family} | refused | | | {self.refused} |"
        agrees = "yes" if self.difference <= AGREEMENT else f"no: {self.difference:.0e}"
        return f"| {self.family} | {self.reads} | {self.direction} | {self.objective} | {agrees} |"


def examine(family: str, directory: Path) -> Facts:
    """Train a tiny model of a family and export it; return what came of it.

    Args:
        family: one of `FAMILIES`.
        directory: an empty one, for data, model and run.
    """
    kind = HEADS.get(family, "MaskedLM")
    torch.manual_seed(0)
    model = save_tiny(directory / "model", family, kind, bare=family in DECODERS)
    data, run = write_data(directory / "data"), directory / "run"
    objective = OBJECTIVES.get(family, "mlm")
    arguments = [
        "run", "data=jsonl", f"data.dir={data}", "model=auto", f"model.name={model}",
        "model.max_length=32", f"objectives=[{objective}]", "weighting=meta", "steps=2",
        "batch_size=4", "eval.every=2", "device=cpu", "precision=fp32", "report=false",
        f"run_dir={run}", "cache=false",
    ]  # fmt: skip
    scored: list[Tensor] = []

    def noted(*given: Any, **options: Any) -> Any:
        found = evaluate_rows(*given, **options)
        scored[:] = found[1]
        return found

    out, err = io.StringIO(), io.StringIO()
    with (
        patch.object(finish, "evaluate_rows", noted),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        status = tartan(arguments)
    if status != 0:
        (line,) = err.getvalue().strip().splitlines()
        return Facts(family, refused=_reason(line, model))
    (reads, direction) = _printed(out.getvalue())
    return Facts(family, reads, direction, objective, difference(run / "model", data, scored))


def difference(model: Path, data: Path, scored: Iterable[Tensor]) -> float:
    """Return how far an exported model's logits of dev are from those that a run scored."""
    lines = (data / "dev.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [json.loads(line)["text"] for line in lines]
    with quiet(), torch.no_grad():
        tokenizer = AutoTokenizer.from_pretrained(model)
        loaded = AutoModelForSequenceClassification.from_pretrained(model).eval()
        found = [
            loaded(**tokenizer(text, truncation=True, return_tensors="pt")).logits[0]
            for text in texts
        ]
    expected = torch.stack(list(scored)).flatten(1)
    wrong = (torch.stack(found) - expected).abs().max()
    return float(wrong / expected.abs().max().clamp(min=1))


def write_data(directory: Path) -> Path:
    """Write a task of random words of `tiny_tokenizer`; return the directory."""
    rng = random.Random(0)
    directory.mkdir()
    for split, rows in ROWS.items():
        texts = [" ".join(rng.choices(words(), k=rng.randint(2, 24))) for _ in range(rows)]
        lines = [json.dumps({"text": t, "label": str(n % 2)}) for n, t in enumerate(texts)]
        (directory / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return directory


def page(facts: Iterable[Facts]) -> str:
    """Return the page docs/models.md."""
    text = Path(__file__).with_name("models.md").read_text(encoding="utf-8")
    return text.replace("{table}", "\n".join(each.row() for each in facts))


def _printed(output: str) -> tuple[str, str]:
    """Return how a run says that the body reads."""
    line = next(line for line in output.splitlines() if line.startswith("body: "))
    reads, _, rest = line.partition(", ")[2].partition(", ")
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
