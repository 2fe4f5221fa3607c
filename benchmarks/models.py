"""Bodies of random weights, which take the same time as trained ones."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from transformers import AutoConfig, AutoModelForMaskedLM, PreTrainedTokenizerBase

from tartan.quiet import quiet
from tartan.seeding import seeded


@dataclass(frozen=True)
class Size:
    """A body's shape.

    Attributes:
        family: transformers' model type.
        vocabulary: rows of the embedding; may exceed the tokenizer's.
        hidden: width of the hidden states.
        layers: transformer layers.
        heads: attention heads of a layer.
        feed_forward: width of a layer's feed-forward part.
    """

    family: str
    vocabulary: int
    hidden: int
    layers: int
    heads: int
    feed_forward: int


SIZES: Mapping[str, Size] = {
    "tiny": Size("bert", 4_000, 64, 2, 2, 256),
    "mini": Size("bert", 30_522, 256, 4, 4, 1024),
    "small": Size("bert", 30_522, 384, 6, 12, 1536),
    "medium": Size("bert", 30_522, 512, 8, 8, 2048),
    "base": Size("roberta", 50_265, 768, 12, 12, 3072),
}
"""Small is as MiniLM, base as RoBERTa-base, the others as BERT's published miniatures."""

VOCABULARY = 3_900
"""Most tokens of the tokenizer that is trained on the task's texts."""


@contextmanager
def directory_of(
    size: Size, tokenizer: PreTrainedTokenizerBase, length: int, seed: int
) -> Iterator[Path]:
    """Write a masked language model of random weights for `from_pretrained`, while a block runs.

    Args:
        size: its shape.
        tokenizer: its tokenizer.
        length: the longest sequence it has to read, in tokens.
        seed: its weights follow from it.
    """
    with TemporaryDirectory(prefix="tartan-model-") as directory:
        config = AutoConfig.for_model(
            size.family,
            vocab_size=max(size.vocabulary, len(tokenizer)),
            hidden_size=size.hidden,
            num_hidden_layers=size.layers,
            num_attention_heads=size.heads,
            intermediate_size=size.feed_forward,
            # RoBERTa's positions begin after padding's.
            max_position_embeddings=max(512, length) + 2,
            pad_token_id=tokenizer.pad_token_id,
        )
        with quiet(), seeded(seed, "random body"):
            AutoModelForMaskedLM.from_config(config).save_pretrained(directory)
            tokenizer.save_pretrained(directory)
        yield Path(directory)
