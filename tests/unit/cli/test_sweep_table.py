"""The table at the end of a sweep, of its own jobs."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from rich.console import Console

from tartan.cli.ended import Ended
from tartan.cli.sweep_table import results, table
from tartan.report.terminal import show


def finished(directory: Path, metric: str, dev: Mapping[str, float], *overrides: str) -> Ended:
    """Write what the table reads of a finished run, and return its job."""
    directory.mkdir()
    summary = {"metric": metric, "dev": dev, "test": dev, "seconds": 3}
    (directory / "summary.json").write_text(json.dumps(summary))
    return Ended(overrides, directory.name, None)


def printed(directory: Path, jobs: Sequence[Ended]) -> list[list[str]]:
    """Return the words of the table's lines, rules left out."""
    console = Console(width=120, color_system=None)
    with console.capture() as said:
        console.print(table(*results(directory, jobs)))
    lines = [line.split() for line in said.get().splitlines()]
    return [words for words in lines if words and not set(words[0]) <= {"─", "╶"}]


def test_brackets_in_options_are_shown(tmp_path: Path):
    """To rich they are markup."""
    jobs = [
        finished(tmp_path / name, "macro_f1", {"macro_f1": dev}, f"objectives={name}", "seed=0")
        for name, dev in (("[mlm]", 0.9), ("[mlm,rtd]", 0.8), ("[]", 0.7))
    ]
    assert [words[0] for words in printed(tmp_path, jobs)] == [
        "objectives", "[mlm]", "[mlm,rtd]", "[]",
    ]  # fmt: skip


def test_each_metric_has_its_columns_and_its_order(tmp_path: Path):
    jobs = [
        finished(tmp_path / name, metric, {metric: dev}, f"eval.metric={metric}", f"name={name}")
        for name, metric, dev in (
            ("a", "macro_f1", 0.55), ("b", "accuracy", 0.8), ("c", "macro_f1", 0.65),
            ("d", "accuracy", 0.9),
        )
    ]  # fmt: skip
    assert printed(tmp_path, jobs) == [
        ["eval.metric", "name", "dev", "accuracy", "test", "accuracy", "dev", "macro_f1", "test",
         "macro_f1", "time"],
        ["accuracy", "d", "0.9000", "0.9000", "3", "s"],
        ["accuracy", "b", "0.8000", "0.8000", "3", "s"],
        ["macro_f1", "c", "0.6500", "0.6500", "3", "s"],
        ["macro_f1", "a", "0.5500", "0.5500", "3", "s"],
    ]  # fmt: skip


def test_a_table_is_not_cut_in_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Numbers are shortened: a sweeper draws them with every digit."""
    names = [f"schedule.stages.joint.optimizer.option_{number}" for number in range(9)]
    jobs = [
        Ended([f"{name}=1.8743321983463{job}e-05" for name in names], f"{job}", "refused")
        for job in range(2)
    ]
    show(table(*results(tmp_path, jobs)))
    shown = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [*names, "dev", "test", "time"] in shown
    assert shown.count([*["1.87433e-05"] * 9, "failed"]) == 2
