"""Predictions of an exported model for texts, pairs of texts, or words."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, repeat
from numbers import Integral
from typing import Any, Self

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tartan.batch import LabelKind
from tartan.body.exported import is_tagger, load_model, load_tokenizer
from tartan.body.pretrained import sequence_limits
from tartan.checks import check_range
from tartan.data.long_texts import LONG_TEXTS
from tartan.data.reader import Counts, Reader, reads_segments
from tartan.errors import ConfigError, ModelError
from tartan.experiment.predictions import describe_set
from tartan.inference.inputs import Input
from tartan.inference.model import LongTexts, Place
from tartan.inference.predictions import Prediction, describe
from tartan.quiet import quiet
from tartan.train import out_of_memory
from tartan.train.runtime import Runtime

BATCHES = 16
"""Batches whose rows are sorted by length, so that a batch has little padding."""
CUT = LongTexts()


@dataclass(frozen=True)
class Predictor:
    """An exported model and how its outputs are read.

    Attributes:
        model: in evaluation mode, on the device.
        tokenizer: its tokenizer.
        runtime: the device.
        counts: what tokenising lost so far.
        long: how long texts are read; of chunks, the mean of the outputs counts.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    runtime: Runtime
    counts: Counts
    long: LongTexts

    @classmethod
    def of(
        cls,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        device: str = "cpu",
        long: LongTexts = CUT,
    ) -> Self:
        """Return a predictor of a model. ConfigError if the device is not available."""
        runtime = Runtime.choose(device, "fp32")
        moved: Any = model
        return cls(moved.to(runtime.device), tokenizer, runtime, Counts(), long)

    @classmethod
    def load(cls, place: Place, device: str = "auto") -> Self:
        """Return a predictor of the model in a directory.

        Args:
            place: where it is, as `model_directory` finds it.
            device: `auto`, or a torch device.

        Raises:
            CheckpointError: the directory cannot be read.
            ConfigError: the device is not available.
        """
        model = load_model(place.directory, place.trusted)
        tokenizer = load_tokenizer(place.directory, place.trusted)
        exported = getattr(model.config, LONG_TEXTS, None)
        return cls.of(model, tokenizer, device, LongTexts(**exported) if exported else place.long)

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
        known = {"regression": LabelKind.NUMBER, "multi_label_classification": LabelKind.SETS}
        # transformers, too, takes a single output for a number
        other = LabelKind.NUMBER if self.model.config.num_labels == 1 else LabelKind.CLASS
        return known.get(str(problem), other)

    @property
    def threshold(self) -> float:
        """Return the probability from which on a label is predicted, where a row has several."""
        return float(getattr(self.model.config, "threshold", 0.5))

    def predict(self, rows: Iterator[Input], batch_size: int = 64) -> Iterator[Prediction]:
        """Yield the prediction for each row, in the order of the rows.

        Args:
            rows: as many as there are; `BATCHES` batches are in memory.
            batch_size: rows that the model reads at once, at least 1.

        Raises:
            ConfigError: `batch_size` is less, or not a whole number.
            OutOfMemoryError: a batch is too large.
        """
        labels, kind, threshold = self.labels, self.kind, self.threshold
        for row, outputs, kept in self.outputs(rows, batch_size):
            if kind is LabelKind.SETS:
                yield describe_set(outputs, labels, threshold)
            else:
                yield describe(row, outputs, kept, labels, kind)

    def outputs(
        self, rows: Iterator[Input], batch_size: int
    ) -> Iterator[tuple[Input, Tensor, Sequence[int]]]:
        """Yield each row with its outputs, [items, outputs] float32 on the CPU.

        Items are the row, or its words that have a token: `kept`, counted from 0. Arguments and
        errors are those of `predict`.
        """
        if not isinstance(batch_size, Integral):
            raise ConfigError(f"batch_size must be a whole number, got {batch_size}")
        check_range("batch_size", batch_size, "[1, inf)")
        remaining = iter(rows)
        while chunk := list(islice(remaining, batch_size * BATCHES)):
            encoded = self._encode(chunk)
            logits = self._logits(encoded, len(chunk), batch_size)
            for row, found, starts, kept in zip(
                chunk,
                logits,
                encoded.get("word_starts", repeat([])),
                encoded.get("kept", repeat([0])),
                strict=False,
            ):
                yield row, found[starts] if row.words else found[None], kept

    def _logits(
        self, encoded: Mapping[str, Sequence[Any]], rows: int, batch_size: int
    ) -> list[Tensor]:
        """Return the logits of each row, [outputs] or [tokens, outputs]; of chunks their mean."""
        pieces = [piece for row in range(rows) for piece in _pieces(encoded, row)]
        order = sorted(range(len(pieces)), key=lambda n: -len(pieces[n][1]["input_ids"]))
        found: dict[int, Tensor] = {}
        for start in range(0, len(order), batch_size):
            indices = order[start : start + batch_size]
            logits = self._forward([pieces[index][1] for index in indices])
            found |= dict(zip(indices, logits, strict=True))
        of_row: dict[int, list[Tensor]] = {}
        for index, (row, _) in enumerate(pieces):
            of_row.setdefault(row, []).append(found[index])
        return [logits[0] if len(logits) == 1 else torch.stack(logits).mean(0)
                for logits in of_row.values()]  # fmt: skip

    def _encode(self, rows: Sequence[Input]) -> Mapping[str, Sequence[Any]]:
        """Return the token ids of rows, as they were read in training."""
        columns: dict[str, list[Any]] = {"text": [row.text for row in rows]}
        if any(row.pair is not None for row in rows):
            columns["text_pair"] = [row.pair for row in rows]
        if any(row.words for row in rows):
            columns |= {"words": [row.words for row in rows]}
            columns |= {"label": [[0] * len(row.words) for row in rows]}
        segments = "text_pair" in columns and reads_segments(self.tokenizer, self.model.config)
        with quiet():
            reader = Reader(
                self.tokenizer, self.max_length, segments, self.long.long, self.long.max_chunks
            )
            return reader.read(columns, self.counts)

    def _forward(self, pieces: Sequence[Mapping[str, list[int]]]) -> list[Tensor]:
        """Return the logits of sequences, [outputs] or [tokens, outputs] each."""
        columns = {name: [piece[name] for piece in pieces] for name in pieces[0]}
        with quiet():
            batch = self.tokenizer.pad(columns, return_tensors="pt", return_attention_mask=True)
        lengths = list(map(len, columns["input_ids"]))
        place = f"prediction, {out_of_memory.batch_shape(lengths)}"
        remedy = "lower batch_size"
        with torch.inference_mode(), out_of_memory.explained(self.runtime, place, remedy):
            inputs = {name: value.to(self.runtime.device) for name, value in batch.items()}
            logits: Tensor = self.model(**inputs).logits
        found = logits.float().cpu()
        if found.dim() == 2:
            return list(found)
        left = self.tokenizer.padding_side == "left"
        return [each[-n:] if left else each[:n] for each, n in zip(found, lengths, strict=True)]

    @property
    def max_length(self) -> int:
        """Return the longest sequence in tokens; the exported tokenizer has that of training."""
        limits = sequence_limits(self.tokenizer, self.model)
        if not limits:
            raise ModelError("the tokenizer has no model_max_length: set it in its directory")
        return min(limits)


def _pieces(
    encoded: Mapping[str, Sequence[Any]], row: int
) -> Iterator[tuple[int, Mapping[str, list[int]]]]:
    """Yield a row's number with its sequences: one, or its chunks."""
    names = [name for name in ("input_ids", "token_type_ids") if name in encoded]
    if "chunks" not in encoded:
        yield row, {name: encoded[name][row] for name in names}
        return
    end = 0
    for size in encoded["chunks"][row]:
        end += size
        yield row, {name: encoded[name][row][end - size : end] for name in names}
