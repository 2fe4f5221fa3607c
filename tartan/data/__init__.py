"""Data: where the end task and its corpora come from, and how they become batches."""

from tartan.data.demo import DemoOptions
from tartan.data.hold_out import hold_out
from tartan.data.hub import HubOptions, HubSplits
from tartan.data.jsonl import JsonlOptions
from tartan.data.lend import training_part
from tartan.data.sources import SOURCES, Source, find_source, load_task
from tartan.data.stream import Stream
from tartan.data.task import Task, build_task
from tartan.data.tokenizing import Tokenized, tokenize
from tartan.data.vocabulary import train_tokenizer

__all__ = [
    "SOURCES",
    "DemoOptions",
    "HubOptions",
    "HubSplits",
    "JsonlOptions",
    "Source",
    "Stream",
    "Task",
    "Tokenized",
    "build_task",
    "find_source",
    "hold_out",
    "load_task",
    "tokenize",
    "train_tokenizer",
    "training_part",
]
