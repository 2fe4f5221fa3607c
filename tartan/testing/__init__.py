"""For plugin authors: contracts that test plugins, and tiny models to test them on."""

from tartan.testing.contract import Broken, Contract, NotApplicable
from tartan.testing.models import (
    FAMILIES,
    PACKED_FAMILIES,
    PADDED_FAMILIES,
    save_tiny,
    tiny_config,
    tiny_source,
    tiny_tokenizer,
)
from tartan.testing.objective_contract import ObjectiveContract
from tartan.testing.weighting_contract import WeightingContract

__all__ = [
    "FAMILIES",
    "PACKED_FAMILIES",
    "PADDED_FAMILIES",
    "Broken",
    "Contract",
    "NotApplicable",
    "ObjectiveContract",
    "WeightingContract",
    "save_tiny",
    "tiny_config",
    "tiny_source",
    "tiny_tokenizer",
]
