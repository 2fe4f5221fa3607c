"""What is installed is listed."""

import json
from collections.abc import Callable

import pytest

from support.command import Answer

Tartan = Callable[..., Answer]


def test_list_shows_every_plugin_its_distribution_and_its_cost(
    tartan: Tartan, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", "200")
    answer = tartan("list")
    assert (answer.status, answer.err) == (0, "")
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in answer.out.splitlines()]
    shown = {row[0]: row[1:] for row in rows if row and row[0]}  # not a cell's second line
    assert shown["mlm"][0] == "auxiliary"
    assert shown["classification"][0] == "primary; auxiliary as classification_aux"
    assert shown["rtd"][2:4] == ["1 forward, 1 backward", "one pass of the generator"]
    assert shown["rdrop"][2] == "2 forward, 2 backward"
    assert shown["vat"][2] == "3 forward, 2 backward"
    assert shown["static"][1:6] == ["1", "1", "losses", "none", "no"]
    assert shown["meta"][1:6] == ["n + 1", "3", "losses, dev", "logits", "yes"]
    assert shown["pcd"][1:4] == ["n", "n + 1", "losses, gradients"]
    assert shown["pcd"][4:6] == ["last, squares, steps", "yes"]
    assert shown["pcd"][6].startswith("Varam and AlHajri")
    assert all("tartan 0." in " ".join(row) for row in shown.values())


def test_a_program_reads_the_same_as_json(tartan: Tartan):
    answer = tartan("list", "--json")
    assert (answer.status, answer.err) == (0, "")
    read = json.loads(answer.out)
    weightings = {each["name"]: each for each in read["weightings"]}
    objectives = {each["name"]: each for each in read["objectives"]}
    assert len(weightings) >= 30
    assert read["problems"] == []
    assert weightings["meta"]["options"]["probe"]["steps"] == 10
    assert weightings["meta"]["needs"] == ["losses", "dev"]
    assert weightings["torchjd_upgrad"]["waits"]
    assert objectives["classification"]["auxiliary"] == "classification_aux"
    assert (objectives["vat"]["forwards"], objectives["vat"]["backwards"]) == (3, 2)
    assert all(each["paper"] and each["use"] for each in weightings.values())


def test_an_unknown_format_is_one_line(tartan: Tartan):
    answer = tartan("list", "--jsn")
    assert (answer.status, answer.out) == (2, "")
    assert answer.err == (
        "tartan: list takes one of --json or --markdown, found '--jsn': did you mean '--json'?\n"
    )
