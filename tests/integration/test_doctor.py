"""`doctor` says what there is, what is missing, and how fast a step is."""

from collections.abc import Callable

import torch

from support.command import Answer


def test_doctor_says_what_a_run_finds(tartan: Callable[..., Answer]):
    answer = tartan("doctor")
    assert answer.status == 0, answer.err
    lines = dict(line.split(maxsplit=1) for line in answer.out.splitlines())
    assert f"torch {torch.__version__.partition('+')[0]}" in lines["versions"]
    assert f"{torch.get_num_threads()} of OpenMP" in lines["threads"]
    assert "weighting=meta" in lines["step"]
    assert {"device", "machine", "others", "extras"} <= set(lines)


def test_doctor_takes_no_arguments(tartan: Callable[..., Answer]):
    answer = tartan("doctor", "now")
    assert answer.status == 2
    assert answer.err == "tartan: doctor takes no arguments, got 'now'\n"
