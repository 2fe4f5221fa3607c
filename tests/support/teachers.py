"""Tiny teachers on disk."""

from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification

from tartan.body import ModelSource


def save_teacher(source: ModelSource, directory: Path, *names: str, seed: int = 1) -> Path:
    """Save a classifier with random weights, its tokenizer, and classes in the order given."""
    config = source.config.__class__.from_dict(
        {
            **source.config.to_dict(),
            "id2label": dict(enumerate(names)),
            "label2id": {name: n for n, name in enumerate(names)},
        }
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = AutoModelForSequenceClassification.from_config(config)
        with torch.no_grad():
            model.classifier.weight.mul_(20)  # predictions that are far from uniform
    model.save_pretrained(directory)
    source.tokenizer.save_pretrained(directory)
    return directory
