import pytest
import torch

from tartan.packed import Packed
from tartan.testing import save_tiny, tiny_source

LENGTHS = (7, 1, 23, 7, 40, 12, 16, 17)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture
def packed():
    """Sequences of many lengths, some alike, one longer than a window by far."""
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(5, 60, (sum(LENGTHS),), generator=generator)
    return Packed(ids, LENGTHS)


@pytest.fixture
def source():
    return tiny_source("bert")


@pytest.fixture
def body(source):
    return source.body()


@pytest.fixture
def saved(tmp_path):
    return save_tiny(tmp_path / "saved")
