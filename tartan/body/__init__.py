"""The shared encoder and Hugging Face heads on it."""

from tartan.body.body import Body
from tartan.body.export import export, export_adapter
from tartan.body.heads import LiftedHead
from tartan.body.masked_lm import masked_lm
from tartan.body.source import AutoOptions, ModelSource, TinyOptions
from tartan.body.teacher import load_teacher

__all__ = [
    "AutoOptions",
    "Body",
    "LiftedHead",
    "ModelSource",
    "TinyOptions",
    "export",
    "export_adapter",
    "load_teacher",
    "masked_lm",
]
