import pytest

from tartan.distributed.join import _join
from tartan.distributed.place import Place
from tartan.errors import ConfigError


def test_processes_that_want_a_gpu_where_there_is_none_are_refused_before_they_meet():
    place = Place(0, 2, 0, 2, "127.0.0.1", 29500, served=False)
    with pytest.raises(ConfigError, match="device=cuda: this machine has no CUDA device"):
        _join(place, "cuda")
