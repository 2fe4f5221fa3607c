"""What is compared of two runs."""

import json
from pathlib import Path

from rich.console import Console

from tartan.inference.comparison import named, pair_table
from tartan.report.terminal import terminal_table


def compared(tmp_path: Path, given: object, predicted: dict[str, list[object]], **more: object):
    """The counts and p of two runs' predictions of rows with the same label."""
    runs = []
    for name, labels in predicted.items():
        lines = ({"label": given, "predicted": each, **more} for each in labels)
        (tmp_path / name).mkdir()
        file = tmp_path / name / "predictions-dev.jsonl"
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))
        runs.append(tmp_path / name)
    summary = {"data": {"dev": {"sha256": "same"}}}
    ((_, here, there, p),) = pair_table(runs, ["a", "b"], [summary, summary]).rows
    return here, there, p


def test_a_set_of_labels_is_right_in_any_order(tmp_path: Path):
    predicted: dict[str, list[object]] = {
        "a": [["toxic", "insult"], []],
        "b": [["toxic"], ["toxic", "insult"]],
    }
    found = compared(tmp_path, ["insult", "toxic"], predicted, probabilities={})
    assert found == ("1", "1", "1.000")


def test_a_row_of_tags_counts_once_and_is_right_if_all_tags_are(tmp_path: Path):
    tags = ["B", "I", "I", "O"]
    predicted: dict[str, list[object]] = {"a": [["O"] * 4, tags], "b": [tags, [*tags[:3], None]]}
    assert compared(tmp_path, tags, predicted) == ("1", "1", "1.000")


def test_runs_are_named_by_what_their_directories_do_not_share(monkeypatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    sweep = Path("multirun/2026-01-31/14-00-00")
    runs = [sweep / f"objectives=[mlm,rtd],seed=0,weighting={name}" for name in ("meta", "static")]
    assert named(runs) == (str(tmp_path / sweep), [run.name for run in runs])
    assert named([*runs, tmp_path / "mine"]) == (str(tmp_path), [*map(str, runs), "mine"])
    assert named([Path("../a"), Path("b")])[0] == str(tmp_path.parent)


def test_a_table_for_a_terminal_folds_long_names_and_cuts_none():
    console = Console(width=20, color_system=None)
    with console.capture() as said:
        console.print(terminal_table(["run", "score"], [["seed=0,weighting=meta", "0.5"]]))
    cells = [line.split("│")[1].strip() for line in said.get().splitlines() if "│" in line]
    assert "".join(cells) == "seed=0,weighting=meta"
