"""docs/models.md shows what a run of each family does."""

from pathlib import Path

import pytest

from tools.models import FAMILIES, Facts, examine, page

pytestmark = pytest.mark.heavy

PAGE = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")


ALIKE = ("camembert", "xlm-roberta", "qwen2", "smollm3", "mistral")
"""Families whose code in transformers is that of RoBERTa or Llama, up to details."""


@pytest.mark.parametrize(
    "family",
    [pytest.param(each, marks=[pytest.mark.slow] * (each in ALIKE)) for each in FAMILIES],
)
def test_a_family_trains_and_exports_as_the_page_says(family, tmp_path):
    row = examine(family, tmp_path).row()
    assert row in PAGE.splitlines()
    assert "| no: " not in row


def test_the_rest_of_the_page_is_current():
    before, _, after = page([Facts("any")]).partition(Facts("any").row())
    assert PAGE.startswith(before)
    assert PAGE.endswith(after)
    rows = PAGE[len(before) : -len(after)].splitlines()
    assert [row.split(" ")[1] for row in rows] == list(FAMILIES)
