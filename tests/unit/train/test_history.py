"""The lines of a run are appended once, and a checkpoint owns a beginning of them."""

from pathlib import Path

import pytest
from torch import nn

from tartan.train.checkpoint import Checkpoints
from tartan.train.history import HISTORY, History, Mark
from tartan.train.progress import Progress


def lines(start: int, end: int) -> list[dict[str, float]]:
    return [{"step": step, "train/loss/mlm": 1 / (1 + step)} for step in range(start, end)]


def add(history: History, start: int, end: int) -> None:
    for record in lines(start, end):
        history.add(record, float(record["step"]))


def test_what_was_saved_is_loaded(tmp_path: Path):
    history = History()
    add(history, 0, 3)
    mark = history.save(tmp_path / HISTORY)
    found = History.load(tmp_path / HISTORY, mark)
    assert (found.records, found.seconds) == (lines(0, 3), [0.0, 1.0, 2.0])


def test_an_older_mark_still_loads_its_beginning_and_saving_from_there_drops_the_rest(
    tmp_path: Path,
):
    history = History()
    add(history, 0, 3)
    first = history.save(tmp_path / HISTORY)
    add(history, 3, 9)
    history.save(tmp_path / HISTORY)
    found = History.load(tmp_path / HISTORY, first)
    assert found.records == lines(0, 3)
    add(found, 3, 5)
    again = found.save(tmp_path / HISTORY)
    assert (tmp_path / HISTORY).stat().st_size == again.size
    assert History.load(tmp_path / HISTORY, again).records == lines(0, 5)


def test_a_changed_beginning_is_refused_and_a_changed_end_is_not(tmp_path: Path):
    path = tmp_path / HISTORY
    history = History()
    add(history, 0, 3)
    first = history.save(path)
    add(history, 3, 6)
    second = history.save(path)
    content = path.read_bytes()
    path.write_bytes(content[:-5] + b"9.9]\n")
    assert History.load(path, first).records == lines(0, 3)
    with pytest.raises(ValueError, match=r"^history\.jsonl does not hold"):
        History.load(path, second)
    path.write_bytes(content[: first.size // 2])
    with pytest.raises(ValueError, match=r"^history\.jsonl does not hold"):
        History.load(path, first)


def test_no_lines_need_no_file(tmp_path: Path):
    assert History.load(tmp_path / HISTORY, Mark()).records == []


def test_checkpoints_write_each_line_once(tmp_path: Path):
    """What checkpoints write grows with the lines, not with its square."""
    model, history, sizes = nn.Linear(1, 1), History(), []
    checkpoints = Checkpoints(tmp_path, keep=1)
    for step in range(1, 40):
        add(history, 100 * step, 100 * (step + 1))
        checkpoints.save(model, {}, Progress(step=step, history=history))
        files = (tmp_path / f"checkpoint-{step}").iterdir()
        sizes.append(sum(path.stat().st_size for path in files))
    assert max(sizes) - min(sizes) < 100  # bytes: longer numbers
    newest, damaged = checkpoints.newest()
    assert newest is not None
    assert damaged == {}
    assert checkpoints.progress(newest).history.records == lines(100, 4000)
