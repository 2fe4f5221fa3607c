import re

import pytest

from tartan.distributed.gpus import check_apart, take_gpu
from tartan.distributed.place import Place
from tartan.errors import ConfigError, PeerError

FIRST, SECOND = (Place(rank, 2, rank, 2, "127.0.0.1", 29500, served=False) for rank in range(2))


def test_processes_that_want_a_gpu_where_there_is_none_are_refused_before_they_meet():
    with pytest.raises(ConfigError, match="device=cuda: this machine has no CUDA device"):
        take_gpu(FIRST, "cuda")
    assert take_gpu(FIRST, "cpu") is None


def test_one_gpu_for_all_processes_is_refused_by_rank_0():
    said = "device=cuda:1 is one GPU, and each of 2 processes takes its own: set device=cuda"
    with pytest.raises(ConfigError, match=f"^{re.escape(said)}$"):
        take_gpu(FIRST, "cuda:1")
    with pytest.raises(PeerError):
        take_gpu(SECOND, "cuda:1")


def test_two_processes_on_the_same_gpu_are_refused_by_rank_0():
    said = "ranks 0 and 1 of 2 have the same GPU (one of a): start one process for each GPU"
    with pytest.raises(ConfigError, match=f"^{re.escape(said)}$"):
        check_apart(FIRST, ["one of a", "one of a"])
    with pytest.raises(PeerError):
        check_apart(SECOND, ["one of a", "one of a"])
    check_apart(FIRST, ["one of a", "one of b"])
    check_apart(FIRST, [])
