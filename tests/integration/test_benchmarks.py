"""The benchmark does what it says, on the smallest of bodies; no test asserts a time."""

import json
import os
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from benchmarks import page, parts, scale, step
from benchmarks.experiment import with_model
from benchmarks.rounds import measure
from benchmarks.setting import Setting
from benchmarks.sides import GROUPS, SIDES, needs_processes
from benchmarks.sides.plain import Plain
from benchmarks.sides.side import Measured
from support.process import apart

ROOT = Path(__file__).parents[2]
SMALL = Setting(words=6, length=16, batch=4, device="cpu", precision="fp32")
ARGUMENTS = ["--words=6", "--length=16", "--batch=4", "--device=cpu", "--precision=fp32"]
FIGURES = (
    "seconds_per_step", "cpu_seconds_per_step", "tokens_per_second", "share_of_matrix_peak",
    "gradient_bytes",
)  # fmt: skip


@pytest.fixture(scope="session")
def dry(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Return a directory with the results of every side and of scale, on a tiny body.

    It runs once, for the first of pytest's processes that needs it.
    """
    base = tmp_path_factory.getbasetemp()
    out = (base if worker_id == "master" else base.parent) / "dry"
    with FileLock(out.with_suffix(".lock")):
        if not (out / "scale.json").is_file():
            run_dry(out)
    return out


def run_dry(out: Path) -> None:
    """Measure in a process that is forked: what is set for the measurement ends with it."""
    out.mkdir(parents=True, exist_ok=True)
    short = ["--rounds=1", "--device=cpu", "--precision=fp32", "--in-process"]
    sizes = ["--model=tiny", "--words=6", "--length=16", "--batch=4"]
    points = ["--base", "model=tiny", "batch=2", "length=8", "objectives=1"]
    points += ["--objectives", "1", "2", "--batch", "--length", "--model"]

    def measure_both() -> int:
        os.chdir(ROOT)
        return step.main([*sizes, *short, f"--json={out / 'step.json'}"]) or scale.main(
            [*points, *short, f"--json={out / 'scale.json'}"]
        )

    answer = apart(measure_both, out / "said")
    assert answer.status == 0, answer.err


def read(file: Path):
    return json.loads(file.read_text(encoding="utf-8"))


def test_every_side_was_timed(dry: Path):
    groups = read(dry / "step.json")["groups"]
    assert list(groups) == [name for name in GROUPS if not needs_processes(name)]
    for name, group in groups.items():
        assert list(group["sides"]) == list(GROUPS[name])
        assert group["refused"] == {}
        for side in group["sides"].values():
            assert all(side[figure] > 0 for figure in FIGURES)
            assert len(side["rounds"]) == 1


def test_every_side_has_its_references_gradient(dry: Path):
    groups = read(dry / "step.json")["groups"]
    sides = {name: side for group in groups.values() for name, side in group["sides"].items()}
    for name, side in sides.items():
        assert (side["agreement"] is None) == (SIDES[name].reference is None)
        if side["agreement"]:
            assert side["agreement"]["cosine"] > 0.99999
            assert side["agreement"]["norm"] == pytest.approx(1, abs=1e-3)
    assert sides["plain-meta"]["agreement"]["alignment"] < 1e-3


def test_sides_of_a_group_do_the_same_work(dry: Path):
    """Up to Trainer, which draws its own batches, and four steps to a turn."""
    groups = read(dry / "step.json")["groups"]
    for group in ("joint", "gramian"):
        sides = groups[group]["sides"]
        tokens = {
            side["rounds"][0]["tokens"] for name, side in sides.items() if SIDES[name].steps == 1
        }
        assert len(tokens) == 1
    joint = groups["joint"]["sides"]
    assert joint["plain-meta"]["rounds"][0]["flops"] == joint["tartan-meta"]["rounds"][0]["flops"]


def test_where_it_was_measured_is_said(dry: Path):
    for file in ("step.json", "scale.json"):
        found = read(dry / file)
        assert found["command"].startswith(f"python -m benchmarks.{file.removesuffix('.json')} ")
        assert found["machine"]["device"] == "cpu"
        assert found["versions"]["torch"] == torch.__version__
        assert found["matrix_peak_flops"]["fp32"] > 0
        assert "commit" in found


def test_scale_has_every_point(dry: Path):
    points = read(dry / "scale.json")["points"]
    assert [(point["axis"], point["value"]) for point in points] == [
        ("objectives", 1),
        ("objectives", 2),
    ]
    for point in points:
        assert set(point["sides"]) == {"tartan-static-n", "tartan-meta-n", "tartan-gramian"}
    assert {point["axis"] for point in points} == {"objectives"}


@pytest.mark.slow
def test_sides_in_processes_of_their_own_say_their_memory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    file = tmp_path / "new" / "step.json"
    left_out = ["--leave-out", "tartan-meta-every-4", "plain-static", "plain-meta"]
    arguments = [*ARGUMENTS, "--groups", "joint", *left_out, "--rounds=1", f"--json={file}"]
    assert step.main(arguments) == 0
    group = read(file)["groups"]["joint"]
    assert list(group["sides"]) == ["tartan-static", "tartan-meta"]
    for side in group["sides"].values():
        assert side["peak_memory_bytes"] >= side["resting_memory_bytes"] > 1e6
    assert [entry["side"] for entry in group["extra_memory"]] == ["tartan-meta"]
    said = capsys.readouterr()
    assert "| tartan, meta " in said.out
    assert "round 1/1, seconds a step: tartan-static" in said.err


def test_a_side_that_computes_something_else_is_not_timed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Plain, "weights", lambda _: torch.tensor([0.9, 0.1]))
    said: list[str] = []
    with with_model(SMALL) as setting:
        group = measure(
            setting, ["tartan-meta", "plain-static"], rounds=1, separate=False, say=said.append
        )
    assert list(group.results) == ["tartan-meta"]
    why = group.refused["plain-static"]
    assert why.startswith("compared with tartan-meta, it has another gradient (cosine 0.")
    assert f"plain-static is not timed: {why}" in said


def test_a_reference_that_others_are_compared_with_keeps_its_parameters(tmp_path: Path):
    """Checking takes no step: what is timed starts where the check started."""
    with with_model(SMALL) as setting:
        side = SIDES["tartan-meta"].make(setting)
        files = [tmp_path / "one", tmp_path / "other"]
        for file in files:
            side.gradient(None).save(file)
    one, other = (Measured.load(file) for file in files)
    assert all(torch.equal(one.gradient[name], other.gradient[name]) for name in one.gradient)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--data=nowhere"], "benchmarks: --data nowhere is not a directory: give one, or demo"),
        (["--model=nowhere/at_all"], "benchmarks: model.name=nowhere/at_all"),
        (["--words=5", "--data=."], "benchmarks: --words 5 is for the demo: leave it out with"),
        (["--groups=kept"], "benchmarks: --groups kept needs processes of its own: remove"),
        (["--leave-out", "plain"], "benchmarks: --leave-out plain: did you mean 'plain-meta'?"),
    ],
)
def test_what_cannot_be_measured_is_said_in_one_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    file = tmp_path / "step.json"
    status = step.main(["--in-process", "--device=cpu", f"--json={file}", *arguments])
    error = capsys.readouterr().err.strip()
    assert status == 2
    assert error.startswith(said)
    assert "\n" not in error
    assert not file.exists()


def test_a_process_that_ends_is_reported(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    """Its own words come first, then a line that says which side it was."""
    (tmp_path / "train.jsonl").write_text("no json\n")
    assert step.main([f"--data={tmp_path}", "--groups=mlm", "--rounds=1"]) == 2
    assert "train.jsonl" in capsys.readouterr().err


def test_the_page_is_what_the_results_give():
    assert page.main(["--check"]) == 0


def test_ways_of_computing_a_part_take_turns():
    turns: list[str] = []
    part = parts.compare(
        "a part", ("plain", lambda: turns.append("p")), ("own", lambda: turns.append("o")), 2
    )
    assert turns == ["p", "o"] * 3
    assert (part.what, part.plain, part.own) == ("a part", "plain", "own")
    (dropped,) = parts.elements(1)
    assert dropped.ratio > 0
    assert dropped.seconds > 0
