"""The GPU host's command: a deadline, and what failed is recorded while the rest runs."""

import json
import sys

import pytest

from benchmarks.gpu import cases, host, sides
from benchmarks.gpu.pack import check, total
from benchmarks.gpu.steps import Record, Step, run_all
from tartan.errors import ConfigError, ModelError


def python(name, program, seconds=30.0):
    return Step(name, [sys.executable, "-c", program], seconds)


def read(file):
    return json.loads(file.read_text("utf-8"))["steps"]


@pytest.fixture
def record(tmp_path):
    return Record(tmp_path / "status.json", {"command": "typed"})


def run(steps, record, tmp_path, deadline=60.0, clock=lambda: 0.0):
    run_all(steps, record, tmp_path, deadline, cwd=tmp_path, clock=clock)
    return read(tmp_path / "status.json")


def test_a_failing_step_is_recorded_and_the_rest_runs(record, tmp_path):
    steps = [python("one", "print('why'); raise SystemExit(3)"), python("two", "")]
    one, two = run(steps, record, tmp_path)
    assert (one["status"], one["code"], one["said"]) == ("failed", 3, "why\n")
    assert (two["status"], two["code"]) == ("passed", 0)


def test_a_program_that_is_missing_is_recorded(record, tmp_path):
    missing, after = run([Step("no", ["/no/program"], 9), python("a", "")], record, tmp_path)
    assert missing["status"] == "failed"
    assert after["status"] == "passed"


def test_results_are_written_after_each_step(record, tmp_path):
    seen = "import json; print(len(json.load(open('status.json'))['steps']))"
    run([python("one", ""), python("two", seen)], record, tmp_path)
    assert (tmp_path / "log.txt").read_text("utf-8") == "=== one\n=== two\n1\n"


def test_a_step_is_stopped_at_its_limit(record, tmp_path):
    slow, after = run(
        [python("slow", "import time; time.sleep(60)", 0.5), python("a", "")], record, tmp_path
    )
    assert slow["status"] == "stopped"
    assert after["status"] == "passed"


def test_no_step_starts_after_the_deadline(record, tmp_path):
    (skipped,) = run([python("late", "")], record, tmp_path, clock=lambda: 55.0)
    assert (skipped["status"], skipped["said"]) == ("skipped", "no time was left")
    assert not (tmp_path / "log.txt").exists()


def test_a_side_that_fails_is_recorded_and_the_rest_is_measured(tmp_path, monkeypatch):
    def measured(case, *_):
        if case.name == first.name:
            raise RuntimeError("broken")
        return {"seconds_per_step": 1.0}

    monkeypatch.setattr(sides, "measured", measured)
    first, second = cases.memory_cases(small=True)[:2]
    found = {"matrix_peak_flops": {"bf16": 1.0}, "cases": {}}
    sides.measure_all([first, second], found, tmp_path / "sides.json")
    written = json.loads((tmp_path / "sides.json").read_text("utf-8"))["cases"]
    assert written[first.name] == {"error": "RuntimeError: broken"}
    assert written[second.name] == {"seconds_per_step": 1.0}


def test_after_a_graph_that_cannot_be_recorded_nothing_more_is_measured(tmp_path, monkeypatch):
    """The device cannot be used then: figures would be wrong."""

    def measured(case, *_):
        raise ModelError(f"{case.name} cannot be recorded")

    monkeypatch.setattr(sides, "measured", measured)
    found = {"matrix_peak_flops": {"bf16": 1.0}, "cases": {}}
    sides.measure_all(cases.graph_cases(small=True), found, tmp_path / "graphs.json")
    assert len(found["cases"]) == 1


def test_more_than_the_limit_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"x" * 11)
    check(total(tmp_path), 11)
    with pytest.raises(ConfigError, match=r"^11 bytes would travel, 10 are the limit"):
        check(total(tmp_path), 10)


def test_names_of_cases_are_unique():
    every = [case for made in cases.CASES.values() for case in made(small=False)]
    assert len(every) == len({case.name for case in every})
    graphs = cases.graph_cases(small=False)
    assert {cases.GRAPHS[0] in case.overrides for case in graphs} == {True}
    assert not any(cases.GRAPHS[0] in case.overrides for case in cases.cases(small=False))


def test_a_turn_has_a_step_that_measures():
    assert sides.FULL.steps % 4 == 0  # weighting.every=4


def test_the_limits_of_steps_lead_to_the_deadline():
    assert host.SECONDS == 540
    assert max(host.MEASURE.values()) < host.SECONDS
