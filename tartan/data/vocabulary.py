"""A tokenizer from a corpus: WordPiece (Wu et al., arXiv 1609.08144), as BERT uses it."""

from collections.abc import Iterable

from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerFast

from tartan.data.words import Split, count_words, repeated
from tartan.errors import ConfigError, DataError

PAD, UNK, CLS, SEP, MASK = SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
"""The special tokens; their ids are their positions."""

CONTINUING = "##"
"""What marks a piece that continues a word."""


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> PreTrainedTokenizerFast:
    """Train a tokenizer that ignores case, and accents with it.

    The same texts always give the same tokenizer, ids included.

    Words of more than 100 characters are left out: WordPiece reads them as unknown. Of more than
    131,072 different words, the most frequent ones are trained on (`words.WordCounts`).

    Args:
        texts: what to train on; gone through once, one text at a time.
        vocab_size: tokens at most, special tokens included. There are fewer when every word of
            the texts is a token already.

    Raises:
        DataError: the texts hold no word.
        ConfigError: the vocabulary is too small for the characters of the texts.
    """
    words = count_words(texts, _splitter())
    # A character stands in the vocabulary bare as well, wherever it occurs: the trainer adds it.
    alphabet = sorted(words.first) + sorted(CONTINUING + character for character in words.later)
    if not alphabet:
        raise DataError("the tokenizer's training texts hold no word: give it other texts")
    if vocab_size < len(SPECIAL) + len(alphabet):
        raise ConfigError(
            f"a vocabulary of {vocab_size} cannot hold the {len(SPECIAL)} special tokens and "
            f"{len(alphabet)} characters of the texts: make it at least "
            f"{len(SPECIAL) + len(alphabet)}"
        )
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size,
        # The trainer numbers characters in the order of a hash map, which differs between
        # processes, and settles ties by number. Declared as special, they are numbered in order.
        special_tokens=[*SPECIAL, *alphabet],
        continuing_subword_prefix=CONTINUING,
        show_progress=False,
    )
    learner = Tokenizer(models.WordPiece(unk_token=UNK, continuing_subword_prefix=CONTINUING))
    learner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    learner.train_from_iterator(repeated(words.counts), trainer)
    trained = _untrained(learner.get_vocab())
    trained.post_processor = processors.TemplateProcessing(
        single=f"{CLS} $A {SEP}",
        pair=f"{CLS} $A {SEP} $B:1 {SEP}:1",
        special_tokens=[(CLS, SPECIAL.index(CLS)), (SEP, SPECIAL.index(SEP))],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=trained,
        pad_token=PAD,
        unk_token=UNK,
        cls_token=CLS,
        sep_token=SEP,
        mask_token=MASK,
        # As BERT's own: whoever loads it gives the body the segments of a pair.
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


def _untrained(vocabulary: dict[str, int]) -> Tokenizer:
    """Return a WordPiece tokenizer over a vocabulary, without a post-processor."""
    model = models.WordPiece(vocabulary, unk_token=UNK, continuing_subword_prefix=CONTINUING)
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix=CONTINUING)
    return tokenizer


def _splitter() -> Split:
    """Return what splits a text into normalised words."""
    tokenizer = _untrained({})

    def split(text: str) -> list[str]:
        normal = tokenizer.normalizer.normalize_str(text)
        return [word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(normal)]

    return split
