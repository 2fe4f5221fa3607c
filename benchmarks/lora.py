"""LoRA adapters against training all weights: what trains, and the memory of META; and the demo.

    python -m benchmarks.lora           # counts, on a tiny Qwen3 and a tiny BERT
    python -m benchmarks.lora --demo    # also trains on the demo, with clm and without
    python -m benchmarks.lora --demo all    # the same without adapters: all weights train
    python -m benchmarks.lora --demo frozen    # all weights but the embeddings

The Qwen3 of the demo has random weights and a vocabulary trained on the demo's texts. It is first
trained to predict the text of another demo, with other words, as a published decoder is on other
text.
"""

import contextlib
import io
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM, PreTrainedModel

from tartan.body import AutoOptions, ModelSource
from tartan.body.adapters import LoraOptions
from tartan.cli import main as tartan
from tartan.data import Task, train_tokenizer
from tartan.data.demo import DemoOptions, load_demo
from tartan.quiet import quiet
from tartan.seeding import seeded
from tartan.weighting import Needs, cost

SEEDS = (1, 2, 3)
SHAPE = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "intermediate_size": 256,
    "num_attention_heads": 2,
}
ARMS = {"objectives=[]": ("static",), "objectives=[clm]": ("meta",)}
LORA = LoraOptions(r=8, alpha=16)
TRAINED = {
    "lora": [f"model.lora.r={LORA.r}", f"model.lora.alpha={LORA.alpha}"],
    "all": [],
    "frozen": ["model.freeze=[embeddings]"],
}
"""What of the body trains on the demo, by the word on the command line: the run's options."""
PRETRAINING = 400
"""Steps of training the demo's decoder on other text."""


def build(family: str, task: Task, directory: Path) -> PreTrainedModel:
    """Write a tiny language model with random weights and the task's vocabulary; return it."""
    tokenizer = train_tokenizer(task.corpora["task"]["text"], 2000)
    more = {"num_key_value_heads": 1, "head_dim": 32} if family == "qwen3" else {}
    config = AutoConfig.for_model(
        family,
        vocab_size=len(tokenizer),
        max_position_embeddings=128,
        pad_token_id=tokenizer.pad_token_id,
        **SHAPE,
        **more,
    )
    auto: Any = AutoModelForCausalLM if family == "qwen3" else AutoModelForMaskedLM
    with quiet(), seeded(0, "model", family):
        model: PreTrainedModel = auto.from_config(config)
        model.save_pretrained(directory)
        tokenizer.save_pretrained(directory)
    return model


def pretrain(model: PreTrainedModel, task: Task, directory: Path) -> None:
    """Train a decoder to predict the text of another demo, and write it again."""
    tokenizer = train_tokenizer(task.corpora["task"]["text"], 2000)
    texts = load_demo(DemoOptions(seed=1)).corpora["task"]["text"]
    ids = [torch.tensor(tokenizer(text)["input_ids"]) for text in texts]
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3)
    with seeded(0, "pretraining"):
        for _ in range(PRETRAINING):
            chosen = [ids[i] for i in torch.randint(len(ids), (32,)).tolist()]
            tokens = pad_sequence(chosen, True, tokenizer.pad_token_id)
            mask = pad_sequence([torch.ones(len(row)) for row in chosen], True).long()
            labels = tokens.masked_fill(mask == 0, -100)
            model(input_ids=tokens, attention_mask=mask, labels=labels).loss.backward()
            optimiser.step()
            optimiser.zero_grad()
    with quiet():
        model.save_pretrained(directory)


def counts(directory: Path) -> tuple[int, int]:
    """Return how many numbers of a body train with adapters, and how many it has."""
    source = ModelSource.pretrained(AutoOptions(name=str(directory), lora=LORA))
    parameters = list(source.body().parameters())
    return sum(p.numel() for p in parameters if p.requires_grad), sum(map(torch.numel, parameters))


def row(family: str, directory: Path) -> str:
    """Return a family's row: what trains, and what META holds of gradients and moments."""
    trained, total = counts(directory)
    full = total - trained
    copies = cost(Needs.LOSSES | Needs.DEV, 2).copies
    held = [4 * n * (copies + 2) for n in (full, trained)]
    share = f"{trained / full:.1%}"
    memory = f"{held[0] / 1e6:.2f} MB | {held[1] / 1e6:.3f} MB | {held[0] / held[1]:.0f}"
    return f"| {family} | {full:,} | {trained:,} | {share} | {memory} |"


def score(arm: str, weighting: str, seed: int, trained: str, directory: Path, run: Path) -> float:
    """Train on the demo and return macro-F1 on test."""
    arguments = [
        "run", "model=auto", f"model.name={directory}", *TRAINED[trained],
        arm, f"weighting={weighting}", f"seed={seed}",
        "steps=300", "optimizer.body_lr=3e-3", "optimizer.head_lr=3e-3", "report=false",
        "device=cpu", f"run_dir={run}",
    ]  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        if tartan(arguments) != 0:
            raise SystemExit(f"{arm}, seed {seed}: the run failed")
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    return float(summary["test"]["macro_f1"])


def demo(trained: str, directory: Path, scratch: Path) -> None:
    """Print the scores of both arms on the same seeds."""
    print("\n| arm | " + " | ".join(f"seed {seed}" for seed in SEEDS) + " | mean |")
    print("|---|" + "---|" * (len(SEEDS) + 1))
    for arm, (weighting,) in ARMS.items():
        scores = [
            score(arm, weighting, seed, trained, directory, scratch / f"{weighting}{seed}")
            for seed in SEEDS
        ]
        cells = " | ".join(f"{value:.3f}" for value in (*scores, statistics.mean(scores)))
        print(f"| `'{arm}' weighting={weighting}` | {cells} |", flush=True)


def main() -> None:
    """Print the tables."""
    task = load_demo(DemoOptions())
    print("| body | numbers | in adapters | share | META, all weights | META, adapters | ratio |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as place:
        scratch = Path(place)
        for family in ("bert", "qwen3"):
            model = build(family, task, scratch / family)
            print(row(family, scratch / family), flush=True)
        if "--demo" in sys.argv:
            pretrain(model, task, scratch / family)
            demo(
                (sys.argv[sys.argv.index("--demo") + 1 :] or ["lora"])[0], scratch / family, scratch
            )


if __name__ == "__main__":
    main()
