"""A tokenizer from a corpus: WordPiece (Wu et al., arXiv 1609.08144), as BERT uses it."""

from collections.abc import Collection, Iterable

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

from tartan.errors import ConfigError, DataError

PAD, UNK, CLS, SEP, MASK = SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
"""The special tokens; their ids are their positions."""

CONTINUING = "##"
"""What marks a piece that continues a word."""


def train_tokenizer(
    texts: Collection[str], vocab_size: int, lowercase: bool = True
) -> PreTrainedTokenizerFast:
    """Train a tokenizer. The same texts always give the same tokenizer, ids included.

    Args:
        texts: what to train on; gone through twice, one text at a time.
        vocab_size: tokens at most, special tokens included. There are fewer when every word of
            the texts is a token already.
        lowercase: ignore case, and accents with it.

    Raises:
        DataError: the texts hold no word.
        ConfigError: the vocabulary is too small for the characters of the texts.
    """
    tokenizer = _untrained({}, lowercase)
    alphabet = _alphabet(tokenizer, texts)
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
    tokenizer.train_from_iterator(iter(texts), trainer)
    trained = _untrained(tokenizer.get_vocab(), lowercase)
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


def _untrained(vocabulary: dict[str, int], lowercase: bool) -> Tokenizer:
    """A WordPiece tokenizer over a vocabulary, without a post-processor."""
    model = models.WordPiece(vocabulary, unk_token=UNK, continuing_subword_prefix=CONTINUING)
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix=CONTINUING)
    return tokenizer


def _alphabet(tokenizer: Tokenizer, texts: Iterable[str]) -> list[str]:
    """The one-character pieces that the words of the texts are made of, sorted."""
    # A character stands in the vocabulary bare as well, wherever it occurs: the trainer adds it.
    bare: set[str] = set()
    continuing: set[str] = set()
    for text in texts:
        normal = tokenizer.normalizer.normalize_str(text)
        for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(normal):
            bare.update(word)
            continuing.update(word[1:])
    return sorted(bare) + sorted(CONTINUING + character for character in continuing)
