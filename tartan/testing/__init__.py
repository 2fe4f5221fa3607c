"""Shipped to plugin authors: tiny models."""

from tartan.testing.models import (
    FAMILIES,
    PACKED_FAMILIES,
    PADDED_FAMILIES,
    save_tiny,
    tiny_config,
    tiny_source,
    tiny_tokenizer,
)

__all__ = [
    "FAMILIES",
    "PACKED_FAMILIES",
    "PADDED_FAMILIES",
    "save_tiny",
    "tiny_config",
    "tiny_source",
    "tiny_tokenizer",
]
