"""Keep transformers, datasets and the hub client from writing to the terminal."""

from collections.abc import Iterator
from contextlib import contextmanager
from logging import ERROR

import datasets
from datasets.utils import logging as datasets_logging
from huggingface_hub.utils import logging as hub_logging
from transformers.utils import logging as transformers_logging


@contextmanager
def quiet() -> Iterator[None]:
    """Run a block without the progress bars and warnings of the Hugging Face libraries."""
    loggers = (transformers_logging, datasets_logging, hub_logging)
    before = [logger.get_verbosity() for logger in loggers]
    model_bars = transformers_logging.is_progress_bar_enabled()
    data_bars = not datasets.are_progress_bars_disabled()
    for logger in loggers:
        logger.set_verbosity(ERROR)
    transformers_logging.disable_progress_bar()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        for logger, verbosity in zip(loggers, before, strict=True):
            logger.set_verbosity(verbosity)
        if model_bars:
            transformers_logging.enable_progress_bar()
        if data_bars:
            datasets.enable_progress_bars()
