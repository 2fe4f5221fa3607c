"""The first tokens of words, read from the marks that tokenizers put on tokens.

| tokenizer                    | a token begins a word if                                     |
|------------------------------|--------------------------------------------------------------|
| WordPiece, BPE with a prefix | it lacks the prefix of continuations (`##`)                  |
| complete words (WordLevel)   | always                                                       |
| byte-level BPE               | it begins with white space, or with another type (letter,    |
|                              | digit, other) than the token before it ends with, as in the  |
|                              | pattern of GPT-2                                             |
| SentencePiece, and similar   | it begins with the mark of a space (U+2581)                  |
| BPE with a suffix (`</w>`)   | the token before it ends with the suffix                     |

A sequence's first token, special and added tokens, and tokens after these begin words too, and so
does a token of a script that is written without spaces (Chinese, Japanese, Thai, Lao, Burmese,
Khmer): as in BERT, where each Chinese character is a word.
"""

import json
from collections.abc import Callable

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase
from transformers.convert_slow_tokenizer import bytes_to_unicode

from tartan.context import Context
from tartan.errors import ModelError
from tartan.packed import Packed

SPACE = "\u2581"
"""SentencePiece's mark of a space."""
UNSPACED = (
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3040, 0x30FF), (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x323AF),
)  # fmt: skip
"""Code points of scripts that are written without spaces, first and last of each block."""
WHITE, LETTER, DIGIT, OTHER = range(4)
"""Types of characters: byte-level BPE does not merge characters of two types."""


ANY, NEVER, JOINS = -1, -2, -3
"""A token that begins a word after any other, one that does not, and one that ends within one."""
Mark = tuple[int, int]
"""What a token begins and ends with. It begins a word if it begins with `ANY`, or with another
value (except `NEVER`) than the token before it ends with (except `JOINS`)."""


class WordStarts:
    """Finds the tokens that begin words."""

    def __init__(self, context: Context, remedy: str | None = None) -> None:
        """Read the marks of the vocabulary.

        Args:
            context: the objective's.
            remedy: what the error tells to do; by default, to set the option `masking` to `token`.

        Raises:
            ModelError: its tokens have no marks.
        """
        where = context.section
        if remedy is None:
            where = f"{where}.masking"
            remedy = f"set {where}=token"
        tokenizer = context.tokenizer
        mark = _marker(tokenizer, where, remedy)
        vocabulary = tokenizer.get_vocab()
        self._begins = torch.full((1 + max(vocabulary.values()),), ANY)
        self._ends = self._begins.clone()
        for token, number in vocabulary.items():
            self._begins[number], self._ends[number] = mark(token)
        self._apart = torch.zeros(len(self._begins), dtype=torch.bool)
        self._apart[[*tokenizer.all_special_ids, *tokenizer.get_added_vocab().values()]] = True

    def __call__(self, packed: Packed) -> Tensor:
        """Return [tokens] bool on the CPU: whether a token is the first of a word."""
        tokens = packed.input_ids
        before = tokens.roll(1)
        begins, ends = self._begins[tokens], self._ends[before]
        starts = (begins == ANY) | self._apart[tokens] | self._apart[before]
        starts |= (begins != NEVER) & (ends != JOINS) & (begins != ends)
        starts[packed.starts] = True
        return starts


def _marker(tokenizer: PreTrainedTokenizerBase, where: str, remedy: str) -> Callable[[str], Mark]:
    """Return what reads the marks of a tokenizer's tokens. ModelError if they have none."""
    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    model = backend["model"]
    if model["type"] == "WordLevel":
        return lambda _: (ANY, ANY)
    if prefix := model.get("continuing_subword_prefix"):
        return lambda token: (NEVER if token.startswith(prefix) else ANY, ANY)
    if suffix := model.get("end_of_word_suffix"):
        return lambda token: (LETTER, OTHER if token.endswith(suffix) else LETTER)
    parts = json.dumps([backend[part] for part in ("normalizer", "pre_tokenizer", "decoder")])
    if '"ByteLevel"' in parts:
        return _byte_level
    if json.dumps(SPACE) in parts:
        return lambda token: (ANY if _begins_word(token) else NEVER, ANY)
    raise ModelError(
        f"{where} needs words, and this model's tokenizer does not mark which tokens begin them: "
        f"{remedy}."
    )


def _begins_word(token: str) -> bool:
    """Return whether a token of SentencePiece begins a word after any other."""
    return token.startswith(SPACE) or _unspaced(token[:1])


def _byte_level(token: str) -> Mark:
    """Return the types of the first and last character of a token that stands for bytes."""
    try:
        data = bytes(BYTES[character] for character in token)
    except KeyError:  # an added token, which is text
        data = token.encode()
    if data[:1] and 0x80 <= data[0] < 0xC0:  # the rest of a character
        return NEVER, _type(data)
    # The first bytes of a character are completed: any of its block will do.
    first = (data[:1] + (data[1:4] + b"\x80\x80\x80")).decode("utf-8", "replace")[:1]
    begins = first.isspace() or _unspaced(first)
    return (ANY if begins else _type(first.encode())), _type(data)


def _type(data: bytes) -> int:
    """Return the type of the last character of bytes; a part of a character counts as a letter."""
    last = data.decode("utf-8", "replace")[-1:]
    if last == " ":
        return JOINS  # a space belongs to the word after it
    if last.isspace():
        return WHITE
    if last.isnumeric():
        return DIGIT
    return LETTER if last.isalpha() or last == "\ufffd" else OTHER


def _unspaced(character: str) -> bool:
    """Return whether a character is of a script that is written without spaces."""
    return bool(character) and any(low <= ord(character) <= high for low, high in UNSPACED)


BYTES = {character: byte for byte, character in bytes_to_unicode().items()}
"""The byte that a character of a byte-level token stands for."""
