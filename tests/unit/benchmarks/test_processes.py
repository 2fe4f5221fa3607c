"""What a step of many processes sends is what docs/scale.md says, and large bodies fit."""

import pytest
import torch

from benchmarks.processes import FLOAT, KINDS, SmallBody, Traffic, bodies, counted, held, world
from tartan.distributed.moments import DividedAdamW


@pytest.mark.parametrize("ranks", [2, 64])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sharded", [False, True])
def test_a_rank_sends_the_bytes_of_the_formula(kind: str, ranks: int, sharded: bool):
    found, expected = counted(kind, ranks, sharded=sharded, micro=2)
    assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("ranks", [2, 64])
def test_divided_moments_send_each_parameter_once_more(ranks: int):
    body = SmallBody()
    for parameter in body.parameters():
        parameter.grad = torch.ones_like(parameter)
    with world(ranks):
        optimiser = DividedAdamW([{"params": list(body.parameters())}], lr=1e-3)
        with Traffic(ranks) as traffic:
            optimiser.step()
    numbers = sum(p.numel() for p in body.parameters())
    assert traffic.sent == pytest.approx(FLOAT * (ranks - 1) / ranks * numbers, rel=1e-9)


def test_a_sharded_body_is_divided_evenly_but_for_its_token_embeddings():
    make = bodies()["125 M"]
    alone, eight, many = (held(make, ranks, sharded=ranks > 1) for ranks in (1, 8, 64))
    assert alone.kept == 124_055_040
    assert eight.kept == many.kept == 50265 * 768
    divided = alone.kept - eight.kept
    assert eight.divided == pytest.approx(divided / 8, rel=0.01)
    assert many.divided == pytest.approx(divided / 64, rel=0.02)
    assert alone.memory(3, 8, moments=True) < alone.memory(3, 8)
    assert many.memory(3, 64) < eight.memory(3, 8) < alone.memory(3, 1)
