"""The Hugging Face libraries print nothing inside `quiet`, and are as before afterwards."""

import datasets
import pytest
from datasets.utils import logging as datasets_logging
from huggingface_hub.utils import logging as hub_logging
from transformers.utils import logging as transformers_logging

from tartan.quiet import quiet

LOGGERS = (transformers_logging, datasets_logging, hub_logging)


def settings() -> list[object]:
    bars = transformers_logging.is_progress_bar_enabled(), datasets.are_progress_bars_disabled()
    return [*bars, *(logger.get_verbosity() for logger in LOGGERS)]


def test_everything_is_silent_inside_and_restored_after_an_error():
    before, inside = settings(), []

    def fail() -> None:
        inside.extend(settings())
        raise RuntimeError

    with pytest.raises(RuntimeError), quiet():
        fail()
    assert inside == [False, True, *[datasets_logging.ERROR] * len(LOGGERS)]
    assert settings() == before


def test_bars_that_were_off_stay_off():
    datasets.disable_progress_bars()
    try:
        with quiet():
            pass
        assert datasets.are_progress_bars_disabled()
    finally:
        datasets.enable_progress_bars()
