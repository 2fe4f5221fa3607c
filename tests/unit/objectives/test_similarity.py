"""Cosines, and the objectives that are computed from them, are float32 in every precision."""

import pytest
import torch
from torch.testing import assert_close

from support.context import ROWS, TinyContext
from tartan import CorpusOptions, Objective, similarities
from tartan_objectives.declutr import DeCLUTR, DeCLUTROptions
from tartan_objectives.simcse import SimCSE, SimCSEOptions
from tartan_objectives.supcon import SupCon, SupConOptions


def test_cosines_of_vectors_with_vectors():
    one, other = torch.tensor([[3.0, 4.0], [0.0, 2.0]]), torch.tensor([[1.0, 0.0]])
    assert_close(similarities(one, other), torch.tensor([[0.6], [0.0]]))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_does_not_round_cosines(dtype: torch.dtype):
    vectors = torch.ones(8, 16) + torch.rand(8, 16, generator=torch.Generator().manual_seed(0)) / 9
    expected = similarities(vectors, vectors)
    assert_close(similarities(vectors), expected)
    assert expected.min() > 0.99, "neighbours in bf16 differ by 0.004 here"
    with torch.autocast("cpu", dtype):
        found = similarities(vectors, vectors)
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)


@pytest.mark.parametrize(
    ("cls", "options"),
    [(SimCSE, SimCSEOptions()), (SupCon, SupConOptions()), (DeCLUTR, DeCLUTROptions())],
    ids=["simcse", "supcon", "declutr"],
)
def test_autocast_does_not_round_the_loss(
    cls: type[Objective], options: CorpusOptions, given: TinyContext
):
    objective = cls(options, given).eval()
    batch = objective.collate(ROWS, torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        found = objective.loss(given.body.eval()(batch.inputs), batch).total
    assert found.dtype == torch.float32
    assert found != found.to(torch.bfloat16), "it has digits that bf16 has not"
