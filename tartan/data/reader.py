"""Read batches of texts as one tokenizer does, and count what is lost."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from typing import Any

from datasets import Dataset, Features, List, Value
from transformers import PretrainedConfig, PreTrainedTokenizerBase

from tartan.data.arrow import Columns, batches_of
from tartan.data.cache import Made
from tartan.data.long_texts import head_and_tail

ENOUGH = 64
"""A text is read this many characters for each token of the maximum length, before the rest."""
MOST = 2**18
"""No text is read further than this many characters, or `ENOUGH` for each token if that is more."""

SEQUENCES = "sequence_ids"
"""The column that says which text of a pair each token is of, None for special tokens."""


@dataclass
class Counts:
    """What tokenising lost.

    Attributes:
        truncated: rows that lost tokens at the maximum length, or text beyond `MOST`.
        lost_words: tagged words that have no token left, nearly always because of that.
        empty: rows with a text of which there is no token, special ones aside.
        unknown: other rows with a text of which every token is the unknown one.
    """

    truncated: int = 0
    lost_words: int = 0
    empty: int = 0
    unknown: int = 0


@dataclass(frozen=True)
class Reader:
    """Reads texts as one tokenizer does.

    Attributes:
        tokenizer: a fast one.
        max_length: tokens of a row at most.
        segments: whether rows say which text a token is of.
        long: how longer rows are read, one of `long_texts.WAYS`.
        max_chunks: the most chunks that a text is read in.
    """

    tokenizer: PreTrainedTokenizerBase
    max_length: int
    segments: bool
    long: str = "truncate"
    max_chunks: int = 8

    def rows(self, dataset: Dataset) -> Made:
        """Return the tokenised rows of a dataset, and what counts the losses."""
        counts, labelled = Counts(), "label" in dataset.column_names

        def batches() -> Iterator[Columns]:
            for batch in batches_of(dataset):
                read = self.read(batch, counts)
                yield read if labelled or self.long != "chunks" else _as_rows(read)

        types = {"input_ids": List(Value("int32"))}
        if self.segments:
            types["token_type_ids"] = List(Value("int8"))
        if "words" in dataset.column_names:
            types |= {"word_starts": List(Value("int32")), "kept": List(Value("int32"))}
        if labelled:
            types["label"] = dataset.features["label"]
        if labelled and self.long == "chunks":
            types["chunks"] = List(Value("int32"))
        return batches(), Features(types), lambda: asdict(counts)

    def read(self, batch: Columns, counts: Counts) -> Columns:
        """Return a batch's columns as `Tokenized` has them, and add what is lost to the counts."""
        whole = [batch[column] for column in ("text", "text_pair") if column in batch]
        beginning = self._beginning if self.long == "truncate" else self._most
        texts = [[beginning(text) for text in column] for column in whole]
        words = "words" in batch
        rows = self._encode(texts, words)
        long = [
            row for row, tokens in enumerate(rows["input_ids"]) if len(tokens) > self.max_length
        ]
        shortened = {
            row
            for column, read in zip(whole, texts, strict=True)
            for row, text in enumerate(column)
            if len(read[row]) < len(text)
        }
        self._count_meaningless(rows, counts)
        chunks = [[len(tokens)] for tokens in rows["input_ids"]]
        if long:
            parts = [[column[row] for row in long] for column in texts]
            if self.long == "chunks":
                shortened |= self._chunk(rows, chunks, long, parts[0])
            else:
                self._cut(rows, long, parts, words)
                shortened |= set(long)
        counts.truncated += len(shortened)
        self._fill(rows)
        if self.long == "chunks":
            rows["chunks"] = [sizes if sum(sizes) else [1] for sizes in chunks]
        if words:
            counts.lost_words += _place_words(rows, batch)
        if "label" in batch and not words:
            rows["label"] = batch["label"]
        return rows

    def _cut(
        self,
        rows: dict[str, list[Any]],
        long: Sequence[int],
        parts: Sequence[Sequence[str]],
        words: bool,
    ) -> None:
        """Shorten the rows of these numbers, whose texts are given, to the maximum length."""
        # Only the tokenizer knows which special tokens survive a cut, and where.
        options: dict[str, Any] = {"truncation": True, "max_length": self.max_length}
        cut = self._encode(parts, words, **options)
        cut.pop(SEQUENCES, None)
        if self.long == "head_tail":
            texts = (
                [encoding.sequence_ids for encoding in self.tokenizer(*parts, **each).encodings]
                for each in ({"verbose": False}, options)
            )
            sources = list(map(head_and_tail, *texts))
        for column, values in cut.items():
            for number, row in enumerate(long):
                if self.long == "head_tail":
                    full = rows[column][row]
                    rows[column][row] = [
                        value if source is None else full[source]
                        for value, source in zip(values[number], sources[number], strict=True)
                    ]
                else:
                    rows[column][row] = values[number]

    def _chunk(
        self,
        rows: dict[str, list[Any]],
        chunks: list[list[int]],
        long: Sequence[int],
        texts: Sequence[str],
    ) -> set[int]:
        """Read long rows in chunks, laid end to end; return those that have too many of them."""
        encoding = self.tokenizer(
            list(texts),
            truncation=True,
            max_length=self.max_length,
            return_overflowing_tokens=True,
            return_attention_mask=False,
            return_token_type_ids=False,
            verbose=False,
        )
        parts: dict[int, list[list[int]]] = {row: [] for row in long}
        for ids, sample in zip(
            encoding["input_ids"], encoding["overflow_to_sample_mapping"], strict=True
        ):
            parts[long[sample]].append(ids)
        for row, found in parts.items():
            kept = found[: self.max_chunks]
            rows["input_ids"][row] = [token for ids in kept for token in ids]
            chunks[row] = [len(ids) for ids in kept]
        return {row for row, found in parts.items() if len(found) > self.max_chunks}

    def _fill(self, rows: dict[str, list[Any]]) -> None:
        """Give rows without a token one that says nothing: not every tokenizer adds its own."""
        fillers = (self.tokenizer.eos_token_id, self.tokenizer.pad_token_id)
        filler = next((token for token in fillers if token is not None), 0)
        for row, ids in enumerate(rows["input_ids"]):
            if ids:
                continue
            filled = {"input_ids": filler, "token_type_ids": 0, "offset_mapping": (0, 0)}
            for column, value in filled.items():
                if column in rows:
                    rows[column][row] = [value]

    def _count_meaningless(self, rows: dict[str, list[Any]], counts: Counts) -> None:
        """Count the rows with a text that has no token, and those with one that has no known one.

        `rows` is left without `SEQUENCES`.
        """
        special = set(self.tokenizer.all_special_ids)
        unknown = self.tokenizer.unk_token_id
        sequences = rows.pop(SEQUENCES, None)
        for row, ids in enumerate(rows["input_ids"]):
            texts = by_text(ids, sequences[row]) if sequences else [ids]
            odd = [text for text in texts if special.issuperset(text)]
            if odd:
                empty = any(unknown not in text for text in odd)
                counts.empty += empty
                counts.unknown += not empty

    def _encode(
        self, texts: Sequence[Sequence[str]], offsets: bool, **options: Any
    ) -> dict[str, list[Any]]:
        """Return what the tokenizer makes of texts, or of first and second texts."""
        encoding = self.tokenizer(
            *map(list, texts),
            return_attention_mask=False,
            return_token_type_ids=self.segments,
            return_offsets_mapping=offsets,
            verbose=False,
            **options,
        )
        columns = ["input_ids", *(["token_type_ids"] if self.segments else [])]
        if offsets:
            columns.append("offset_mapping")
        found = {column: list(encoding[column]) for column in columns}
        if len(texts) > 1:
            found[SEQUENCES] = [encoding.sequence_ids(row) for row in range(len(texts[0]))]
        return found

    def _beginning(self, text: str) -> str:
        """Return as much of a text as is read: megabytes would take gigabytes to tokenise.

        The cut changes the last word alone; what is read ends before that. Nothing is left out but
        of a text with hardly a token in `MOST` characters. Of a pair whose texts would both fill a
        row, either may get the odd token.
        """
        text = self._most(text)
        size = ENOUGH * self.max_length
        while size < len(text) and self.tokenizer.truncation_side == "right":
            words = self.tokenizer([text[:size]], verbose=False).word_ids(0)
            last = next((word for word in reversed(words) if word is not None), None)
            if len(words) > self.max_length and words[self.max_length] not in (None, last):
                return text[:size]
            size *= 4
        return text

    def _most(self, text: str) -> str:
        """Return a text, or of an extremely long one as much as is ever read."""
        most = max(MOST, ENOUGH * self.max_length)
        return text[:most] if self.tokenizer.truncation_side == "right" else text[-most:]


def reads_segments(tokenizer: PreTrainedTokenizerBase, config: PretrainedConfig) -> bool:
    """Return whether a body reads which text of a pair a token is in: it embeds two segments.

    Its tokenizer has to agree, as plain transformers goes by that when the model is exported.
    """
    return (
        "token_type_ids" in tokenizer.model_input_names
        and getattr(config, "type_vocab_size", 0) > 1
    )


def _as_rows(read: Columns) -> Columns:
    """Return unlabelled rows with each chunk as a row of its own."""
    rows: list[list[int]] = []
    for ids, sizes in zip(read["input_ids"], read["chunks"], strict=True):
        ends = list(accumulate(sizes))
        rows += [ids[end - size : end] for size, end in zip(sizes, ends, strict=True)]
    return {"input_ids": rows}


def by_text(ids: Sequence[int], sequences: Sequence[int | None]) -> list[list[int]]:
    """Return the tokens of each text of a pair, special tokens left out.

    Args:
        ids: [tokens].
        sequences: [tokens], 0 or 1 for the text that a token is of, None for a special token.

    >>> by_text([2, 7, 3, 8, 9, 3], [None, 0, None, 1, 1, None])
    [[7], [8, 9]]
    """
    return [[id for id, text in zip(ids, sequences, strict=True) if text == n] for n in (0, 1)]


def _place_words(rows: dict[str, list[Any]], batch: Columns) -> int:
    """Replace offsets by `word_starts`, `kept` and `label`; return how many words are lost."""
    found = [
        first_tokens(*row) for row in zip(batch["words"], rows.pop("offset_mapping"), strict=True)
    ]
    rows["word_starts"] = [list(first.values()) for first in found]
    rows["kept"] = [list(first) for first in found]
    rows["label"] = [
        [tags[word] for word in first] for tags, first in zip(batch["label"], found, strict=True)
    ]
    return sum(len(row) - len(first) for row, first in zip(batch["words"], found, strict=True))


def first_tokens(words: Sequence[str], offsets: Sequence[tuple[int, int]]) -> dict[int, int]:
    """Return each word's first token, in the order of the words, and none for words without one.

    Offsets rather than a tokenizer's own `word_ids`: the words are read as any other text is, and
    families that tell a word at the start from one after a space need no option for it.

    A token belongs to the word in which it ends; words before that which it covers have none.

    Args:
        words: as they stand in the text, one space between.
        offsets: of each token, the first character and the one after the last; the same one twice
            for a special token.

    >>> first_tokens(["red", "bluish"], [(0, 0), (0, 3), (3, 8), (8, 10), (0, 0)])
    {0: 1, 1: 2}
    >>> first_tokens(["in", "to", "it"], [(0, 5), (6, 8)])
    {1: 0, 2: 1}
    """
    starts = [0, *accumulate(len(word) + 1 for word in words)]
    first: dict[int, int] = {}
    for token, (start, end) in enumerate(offsets):
        # The last character, as a token may begin with the space before its word.
        word = bisect_right(starts, end - 1) - 1
        if start < end < starts[word + 1]:
            first.setdefault(word, token)
    return first
