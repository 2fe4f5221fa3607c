"""Training with auxiliary objectives whose weights are learned while training.

Everything a plugin or a training loop of one's own needs is re-exported here.
"""

from tartan.backward import Term, backward
from tartan.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    ModelError,
    PluginError,
    TartanError,
    suggest,
)
from tartan.masking import choose_tokens, mask_token, special_tokens, token_loss
from tartan.objective import (
    Batch,
    Context,
    Head,
    LabelKind,
    Loss,
    MaskedLM,
    Objective,
    PrimaryObjective,
    Row,
)
from tartan.packed import Packed
from tartan.plugins import hookimpl
from tartan.sequence import SequenceObjective
from tartan.shared import Shared
from tartan.weighting import Cost, Needs, ProbeOptions, Signals, Weighting, cost

__all__ = [
    "Batch",
    "CheckpointError",
    "ConfigError",
    "Context",
    "Cost",
    "DataError",
    "Head",
    "LabelKind",
    "Loss",
    "MaskedLM",
    "ModelError",
    "Needs",
    "Objective",
    "Packed",
    "PluginError",
    "PrimaryObjective",
    "ProbeOptions",
    "Row",
    "SequenceObjective",
    "Shared",
    "Signals",
    "TartanError",
    "Term",
    "Weighting",
    "backward",
    "choose_tokens",
    "cost",
    "hookimpl",
    "mask_token",
    "special_tokens",
    "suggest",
    "token_loss",
]
