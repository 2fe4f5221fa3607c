"""Training with auxiliary objectives whose weights are learned while training.

Everything a plugin or a training loop of one's own needs is re-exported here.
"""

from tartan.backward import backward
from tartan.batch import Batch, LabelKind, Loss, Row
from tartan.checks import check_choice, check_range, check_ranges
from tartan.consistency import divergence
from tartan.context import Classifier, Context, Encoder, EndTask, Head, LanguageModel
from tartan.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    ModelError,
    PluginError,
    TartanError,
    suggest,
)
from tartan.gramian import GramianWeighting, cosines
from tartan.logits import bounded_logits
from tartan.masking import (
    check_both_directions,
    choose_tokens,
    choose_words,
    lm_head,
    mask_token,
    special_tokens,
    token_loss,
)
from tartan.mixture import CorpusOptions, Mixture, read_corpora
from tartan.objective import Objective, Passes, PrimaryObjective
from tartan.packed import Packed, send
from tartan.plugins import hookimpl
from tartan.probe import dev_term
from tartan.quadratic import minimise
from tartan.sequence import SequenceObjective
from tartan.shared import Shared
from tartan.similarity import similarities
from tartan.span_masking import SpanLengths, choose_spans
from tartan.spans import score_spans
from tartan.tags import TagScheme
from tartan.term import Term
from tartan.text_bounds import TextBounds
from tartan.unit import Unit
from tartan.weighting import Cost, Needs, ProbeOptions, Signals, Weighting, cost
from tartan.word_starts import WordStarts

__all__ = [
    "Batch",
    "CheckpointError",
    "Classifier",
    "ConfigError",
    "Context",
    "CorpusOptions",
    "Cost",
    "DataError",
    "Encoder",
    "EndTask",
    "GramianWeighting",
    "Head",
    "LabelKind",
    "LanguageModel",
    "Loss",
    "Mixture",
    "ModelError",
    "Needs",
    "Objective",
    "Packed",
    "Passes",
    "PluginError",
    "PrimaryObjective",
    "ProbeOptions",
    "Row",
    "SequenceObjective",
    "Shared",
    "Signals",
    "SpanLengths",
    "TagScheme",
    "TartanError",
    "Term",
    "TextBounds",
    "Unit",
    "Weighting",
    "WordStarts",
    "backward",
    "bounded_logits",
    "check_both_directions",
    "check_choice",
    "check_range",
    "check_ranges",
    "choose_spans",
    "choose_tokens",
    "choose_words",
    "cosines",
    "cost",
    "dev_term",
    "divergence",
    "hookimpl",
    "lm_head",
    "mask_token",
    "minimise",
    "read_corpora",
    "score_spans",
    "send",
    "similarities",
    "special_tokens",
    "suggest",
    "token_loss",
]
