"""The notebook in examples/, run from its first cell to its last by a real kernel."""

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "examples/notebook.ipynb"


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    place = {"metadata": {"path": tmp_path_factory.mktemp("notebook")}}
    return NotebookClient(notebook, timeout=600, resources=place).execute()


def outputs(cell: Any, kind: str) -> list[Any]:
    return [each for each in cell.outputs if each.output_type == kind]


def cell_with(executed: Any, text: str) -> Any:
    return next(c for c in executed.cells if c.cell_type == "code" and text in c.source)


def test_the_notebook_is_stored_without_outputs():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert all(not cell.get("outputs") for cell in notebook.cells)


@pytest.mark.heavy
def test_a_run_shows_a_bar_without_widgets_and_lines(executed: Any):
    cell = cell_with(executed, "run = tartan.run(")
    printed = "".join(each.text for each in outputs(cell, "stream"))
    assert "stage joint: classification, mlm; 100 steps" in printed
    assert "best model at step" in printed
    bars = outputs(cell, "display_data")
    assert len(bars) == 2, "one for each stage"
    assert {bar["data"]["text/html"] for bar in bars} == {""}, "removed at its end"
    (result,) = outputs(cell, "execute_result")
    assert result["data"]["text/plain"].startswith("Run('")


@pytest.mark.heavy
def test_every_cell_ends_without_an_error(executed: Any):
    kinds = {each.output_type for c in executed.cells for each in c.get("outputs", ())}
    assert "error" not in kinds
    predicted = outputs(cell_with(executed, "run.predict"), "execute_result")[0]["data"]
    assert re.findall(r"'predicted': '(\w+)'", predicted["text/plain"]) == ["warm", "cold"]
    refused = "".join(part.text for part in outputs(cell_with(executed, "mln"), "stream"))
    assert refused == "objectives=mln: no such option; did you mean 'mlm'?\n"
    learnt = outputs(cell_with(executed, "TartanClassifier"), "execute_result")[0]["data"]
    assert learnt["text/plain"].startswith("(array(['warm', 'cold']")
