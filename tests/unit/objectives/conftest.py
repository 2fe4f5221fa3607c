"""A tiny context for every test of an objective; the random state is left as it was."""

from collections.abc import Iterator

import pytest
import torch

from support.context import TinyContext


@pytest.fixture
def given() -> Iterator[TinyContext]:
    with torch.random.fork_rng():
        yield TinyContext()
