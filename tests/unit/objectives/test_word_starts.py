"""The words that tokens' marks give are those of each kind of tokenizer."""

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from support.context import TinyContext
from tartan import ModelError, Packed
from tartan.word_starts import WordStarts

TEXTS = [
    "Unbelievable results: the tokenizers' 2023 benchmark is not representative, e.g. naïve cafés!",
    "internationalisation  of 1234567 well-known pre-trained models (state-of-the-art) costs $99.",
    "tokenization tokenizer token tokens tokenizing\nrepresentation represent representing",
]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def trained(model, pre_tokenizer, trainer, normalizer=None) -> PreTrainedTokenizerFast:
    """A tokenizer with so small a vocabulary that most words take several tokens."""
    backend = Tokenizer(model)
    backend.pre_tokenizer = pre_tokenizer
    if normalizer is not None:
        backend.normalizer = normalizer
    backend.train_from_iterator(TEXTS, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, unk_token="[UNK]", mask_token="[MASK]", cls_token="[CLS]",
        sep_token="[SEP]", pad_token="[PAD]",
    )  # fmt: skip


def word_piece() -> PreTrainedTokenizerFast:
    trainer = trainers.WordPieceTrainer(vocab_size=90, special_tokens=SPECIAL)
    return trained(models.WordPiece(unk_token="[UNK]"), pre_tokenizers.BertPreTokenizer(), trainer)


def byte_level() -> PreTrainedTokenizerFast:
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    return trained(models.BPE(), pre_tokenizers.ByteLevel(add_prefix_space=False), trainer)


def sentence_piece() -> PreTrainedTokenizerFast:
    trainer = trainers.UnigramTrainer(
        vocab_size=90, special_tokens=SPECIAL, unk_token="[UNK]", max_piece_length=4
    )
    return trained(models.Unigram(), pre_tokenizers.Metaspace(), trainer)


def with_suffix() -> PreTrainedTokenizerFast:
    trainer = trainers.BpeTrainer(vocab_size=90, special_tokens=SPECIAL, end_of_word_suffix="</w>")
    model = models.BPE(unk_token="[UNK]", end_of_word_suffix="</w>")
    return trained(model, pre_tokenizers.Whitespace(), trainer)


def word_starts(tokenizer: PreTrainedTokenizerFast) -> WordStarts:
    given = TinyContext()
    given.tokenizer = tokenizer
    return WordStarts(given)


@pytest.mark.parametrize("make", [word_piece, byte_level, sentence_piece, with_suffix])
def test_words_are_those_that_the_tokenizer_split_the_text_into(make):
    tokenizer = make()
    encoded = [tokenizer(text) for text in TEXTS]
    words = [row.word_ids() for row in encoded]
    assert all(len(set(row)) < 0.8 * len(row) for row in words), "most words are single tokens"
    expected = [
        n == 0 or word != row[n - 1] for row in words for n, word in enumerate(row)
    ]  # fmt: skip
    found = word_starts(tokenizer)(Packed.of([row["input_ids"] for row in encoded]))
    assert found.tolist() == expected


def test_special_and_added_tokens_are_words_and_so_is_what_follows():
    tokenizer = word_piece()
    tokenizer.add_tokens(["<br>"])
    rest = next(number for token, number in tokenizer.get_vocab().items() if token[:2] == "##")
    row = [2, rest, rest, len(tokenizer) - 1, rest, 3]
    found = word_starts(tokenizer)(Packed.of([row]))
    assert found.tolist() == [True, True, False, True, True, True]


def test_the_first_token_of_each_sequence_begins_a_word():
    tokenizer = sentence_piece()
    rest = [n for token, n in tokenizer.get_vocab().items() if token in ("e", "t", "s")]
    found = word_starts(tokenizer)(Packed.of([rest, rest]))
    assert found.tolist() == [True, False, False] * 2


def test_scripts_without_spaces_have_a_word_for_each_token():
    tokenizer = byte_level()
    row = tokenizer("词语和文本")["input_ids"]  # three bytes each, and no merges
    assert len(row) == 15
    found = word_starts(tokenizer)(Packed.of([row]))
    assert found.tolist() == [True, False, False] * 5


def test_a_tokenizer_without_marks_is_refused():
    trainer = trainers.BpeTrainer(vocab_size=90, special_tokens=SPECIAL)
    tokenizer = trained(models.BPE(unk_token="[UNK]"), pre_tokenizers.Whitespace(), trainer)
    with pytest.raises(ModelError) as caught:
        word_starts(tokenizer)
    assert str(caught.value) == (
        "objectives.mine.masking needs words, and this model's tokenizer does not mark which "
        "tokens begin them: set objectives.mine.masking=token."
    )
