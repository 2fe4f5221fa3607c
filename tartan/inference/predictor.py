"""Predictions of an exported model for texts, pairs of texts, or words."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tartan.batch import LabelKind
from tartan.data.reader import Counts, Reader
from tartan.data.rows import check_text, check_words
from tartan.errors import ModelError
from tartan.body.exported import is_tagger, load_model, load_tokenizer
from tartan.quiet import quiet
from tartan.train import out_of_memory
from tartan.train.runtime import Runtime

Prediction = Mapping[str, Any]
"""What is predicted for a row: `predicted`, a label, a number, labels, or one tag for each word;
`probability` of the predicted label; `probabilities` by label, of each word where words are tagged.
A word that was cut off has None."""
BATCHES = 16
"""Batches whose rows are sorted by length, so that a batch has little padding."""


class Input(NamedTuple):
    """A row to predict.

    Attributes:
        text: the text; where words are tagged, the words with a space between.
        pair: the second text of a pair, or None.
        words: the words to tag; empty where the text as a whole is predicted.
    """

    text: str
    pair: str | None = None
    words: tuple[str, ...] = ()


def as_input(text: object, number: int | None = None) -> Input:
    """Return a row to predict from a text, a pair of texts (a tuple) or words (a list).

    Raises:
        DataError: it is something else, or empty.
    """
    place = "texts" if number is None else f"texts[{number}]"
    if isinstance(text, tuple) and len(text) == 2:
        return Input(check_text(text[0], place), check_text(text[1], place, "the second text"))
    if isinstance(text, list):
        words = check_words(text, "words", place)
        return Input(" ".join(words), words=words)
    return Input(check_text(text, place))


@dataclass(frozen=True)
class Predictor:
    """An exported model and how its outputs are read.

    Attributes:
        model: in evaluation mode, on the device.
        tokenizer: its tokenizer.
        runtime: the device.
        counts: what tokenising lost so far.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    runtime: Runtime
    counts: Counts

    @classmethod
    def of(
        cls, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, device: str = "cpu"
    ) -> Self:
        """Return a predictor of a model. ConfigError if the device is not available."""
        runtime = Runtime.choose(device, "fp32")
        moved: Any = model
        return cls(moved.to(runtime.device), tokenizer, runtime, Counts())

    @classmethod
    def load(cls, directory: Path, device: str = "auto", trusted: bool = False) -> Self:
        """Return a predictor of the model in a directory.

        Args:
            directory: as a run exports it, `<run>/model`.
            device: `auto`, or a torch device.
            trusted: whether Python code that comes with the model may run.

        Raises:
            CheckpointError: the directory cannot be read.
            ConfigError: the device is not available.
        """
        return cls.of(load_model(directory, trusted), load_tokenizer(directory, trusted), device)

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the name of each output."""
        names: Any = self.model.config.id2label
        return tuple(str(names[i]) for i in range(len(names)))

    @property
    def kind(self) -> LabelKind:
        """Return the kind of labels that the model predicts."""
        if is_tagger(self.model.config):
            return LabelKind.TAGS
        problem = self.model.config.problem_type
        return LabelKind.NUMBER if problem == "regression" else LabelKind.CLASS

    def predict(self, rows: Iterator[Input], batch_size: int = 64) -> Iterator[Prediction]:
        """Yield the prediction for each row, in the order of the rows.

        Args:
            rows: as many as there are; `BATCHES` batches are in memory.
            batch_size: rows that the model reads at once.

        Raises:
            OutOfMemoryError: a batch is too large.
        """
        labels, kind = self.labels, self.kind
        for row, outputs, kept in self.outputs(rows, batch_size):
            yield describe(row, outputs, kept, labels, kind)

    def outputs(
        self, rows: Iterator[Input], batch_size: int = 64
    ) -> Iterator[tuple[Input, Tensor, Sequence[int]]]:
        """Yield each row with its outputs, [items, outputs] float32 on the CPU.

        Items are the row, or its words that have a token: `kept`, counted from 0. Arguments and
        errors are those of `predict`.
        """
        remaining = iter(rows)
        while chunk := list(islice(remaining, batch_size * BATCHES)):
            encoded = self._encode(chunk)
            order = sorted(range(len(chunk)), key=lambda row: -len(encoded["input_ids"][row]))
            found: dict[int, Tensor] = {}
            for start in range(0, len(order), batch_size):
                places = order[start : start + batch_size]
                logits = self._forward(encoded, places)
                found |= dict(zip(places, logits, strict=True))
            for place, row in enumerate(chunk):
                if not row.words:
                    yield row, found[place][None], [0]
                    continue
                tokens = len(encoded["input_ids"][place])
                left = self.tokenizer.padding_side == "left"
                logits = found[place][-tokens:] if left else found[place]
                yield row, logits[encoded["word_starts"][place]], encoded["kept"][place]

    def _encode(self, rows: Sequence[Input]) -> Mapping[str, Sequence[Any]]:
        """Return the token ids of rows, as they were read in training."""
        columns: dict[str, list[Any]] = {"text": [row.text for row in rows]}
        if any(row.pair is not None for row in rows):
            columns["text_pair"] = [row.pair for row in rows]
        if any(row.words for row in rows):
            columns |= {"words": [row.words for row in rows]}
            columns |= {"label": [[0] * len(row.words) for row in rows]}
        names, config = self.tokenizer.model_input_names, self.model.config
        pairs = "text_pair" in columns and "token_type_ids" in names
        segments = pairs and getattr(config, "type_vocab_size", 0) > 1
        with quiet():
            return Reader(self.tokenizer, self.max_length, segments).read(columns, self.counts)

    def _forward(self, encoded: Mapping[str, Sequence[Any]], places: Sequence[int]) -> Tensor:
        """Return the logits of some rows, [rows, outputs] or [rows, tokens, outputs]."""
        names = [name for name in ("input_ids", "token_type_ids") if name in encoded]
        rows = {name: [encoded[name][place] for place in places] for name in names}
        with quiet():
            batch = self.tokenizer.pad(rows, return_tensors="pt", return_attention_mask=True)
        lengths = list(map(len, rows["input_ids"]))
        place = f"prediction, {out_of_memory.batch_shape(lengths)}"
        with (
            torch.inference_mode(),
            out_of_memory.explained(self.runtime, place, "lower batch_size"),
        ):
            inputs = {name: value.to(self.runtime.device) for name, value in batch.items()}
            logits: Tensor = self.model(**inputs).logits
        return logits.float().cpu()

    @property
    def max_length(self) -> int:
        """Return the longest sequence in tokens; the exported tokenizer has that of training."""
        length = self.tokenizer.model_max_length
        if length > 10**9:  # what transformers stores where none is known
            length = getattr(self.model.config, "max_position_embeddings", None)
        if not isinstance(length, int):
            raise ModelError("the tokenizer has no model_max_length: set it in its directory")
        return length


def describe(
    row: Input, outputs: Tensor, kept: Sequence[int], labels: Sequence[str], kind: LabelKind
) -> Prediction:
    """Return what outputs [items, outputs] say of a row.

    Args:
        row: the row.
        outputs: of the row, or of those of its words that have a token.
        kept: the words that have a token, counted from 0.
        labels: the name of each output.
        kind: the kind of labels.
    """
    if kind is LabelKind.NUMBER:
        return {"predicted": outputs.item()}
    found = [
        {"predicted": max(p, key=p.__getitem__), "probability": max(p.values()), "probabilities": p}
        for p in (dict(zip(labels, values, strict=True)) for values in probabilities(outputs))
    ]
    if kind is LabelKind.CLASS:
        return found[0]
    by_word = dict(zip(kept, found, strict=True))
    none: dict[str, Any] = dict.fromkeys(("predicted", "probability", "probabilities"))
    words = [by_word.get(word, none) for word in range(len(row.words))]
    return {name: [word[name] for word in words] for name in none}


def probabilities(outputs: Tensor) -> list[list[float]]:
    """Return the softmax of outputs [items, labels]; what is not finite counts as 0 before it."""
    found = outputs.double().nan_to_num().softmax(1).tolist()
    return [[round(value, 6) for value in row] for row in found]
