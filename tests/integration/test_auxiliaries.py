"""Auxiliary objectives in a run: with META, on the demo, as typed."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors import safe_open
from transformers import AutoModelForSequenceClassification

from support.command import SMALL, Answer, records


@pytest.mark.parametrize("objective", ["rtd", "clm", "simcse"])
def test_an_auxiliary_trains_beside_the_end_task_and_leaves_it_alone(
    objective: str, tartan: Callable[..., Answer], tmp_path: Path
):
    answer = tartan("run", *SMALL, f"objectives=[{objective}]", "weighting=meta", "run_dir=r")
    assert (answer.status, answer.err) == (0, "")
    losses = [
        record[f"train/loss/{objective}"]
        for record in records(tmp_path / "r")
        if f"train/loss/{objective}" in record
    ]
    assert len(losses) >= 3
    assert all(math.isfinite(loss) and loss > 0 for loss in losses)
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "r" / "model")
    with safe_open(tmp_path / "r" / "model" / "model.safetensors", "pt") as exported:
        assert set(exported.keys()) == set(model.state_dict())


def test_options_of_an_auxiliary_are_typed_as_its_own(tartan: Callable[..., Answer]):
    answer = tartan("run", *SMALL, "objectives=[rtd]", "objectives.rtd.sampling=gumble")
    assert answer.status == 2
    assert answer.err == "tartan: objectives.rtd.sampling=gumble: did you mean 'gumbel'?\n"


def test_a_seed_decides_what_is_replaced_and_what_the_generator_begins_as(
    tartan: Callable[..., Answer], tmp_path: Path
):
    for run, seed in (("one", 3), ("same", 3), ("other", 4)):
        assert (
            tartan("run", *SMALL, "objectives=[rtd]", f"seed={seed}", f"run_dir={run}").status == 0
        )
    one, same, other = (records(tmp_path / run) for run in ("one", "same", "other"))
    assert one == same
    assert one[0]["train/generator_loss/rtd"] != other[0]["train/generator_loss/rtd"]
