"""Keep the datasets library from writing to the terminal."""

from collections.abc import Iterator
from contextlib import contextmanager

import datasets
from datasets.utils import logging


@contextmanager
def quiet() -> Iterator[None]:
    """Run a block without progress bars and warnings of the datasets library."""
    verbosity, bars = logging.get_verbosity(), not datasets.are_progress_bars_disabled()
    logging.set_verbosity_error()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            datasets.enable_progress_bars()
