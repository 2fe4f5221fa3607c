"""A run of a study: when it is finished, why it failed, and whether what is there is that run."""

from pathlib import Path
from typing import Any

import pytest

from tartan.config.composer import composing
from tartan.config.parse import resolved
from tartan.config.store import register
from tartan.errors import CheckpointError
from tartan.experiment.identity import dependent
from tartan.experiment.summary import TYPES
from tartan.plugins import discover
from tartan.report.record import write_json
from tartan.study.collect import collect
from tartan.study.job import Arm, Job, record_failure
from tartan.study.options import StudyOptions
from tartan.study.worker import BuiltArm

pytestmark = pytest.mark.heavy

OWN_DATA = (
    "objectives=[classification_aux]",
    "+objectives.classification_aux.data.dir=aux/${seed}",
)
CONTENTS = {"data": {"train": "rows", "objectives.classification_aux": "rows of seed 0"}}


@pytest.fixture(autouse=True, scope="module")
def _registered():
    register(discover())


def job(study: Path, *overrides: str, seed: int = 0) -> Job:
    return Job(Arm("mt", "MT", overrides, overrides), seed, study)


def finish(job: Job, **summary: Any) -> None:
    """Write the summary of a run that is complete, and its model."""
    (job.directory / "model").mkdir(parents=True)
    kinds = {name: kind[0] if isinstance(kind, tuple) else kind for name, kind in TYPES.items()}
    write_json(job.directory / "summary.json", {n: k() for n, k in kinds.items()} | summary)


def sum_up(job: Job, data: dict[str, str]) -> None:
    """Finish a run that read some data."""
    with composing():
        parts = {"configuration": dependent(resolved(job.compose())), "data": data}
    finish(job, identity={"run": "r", "parts": parts})


def test_a_run_whose_export_failed_is_not_finished(tmp_path: Path):
    """What the command wants now counts: who leaves the export out has a finished run."""
    exported, plain = job(tmp_path, "export=onnx"), job(tmp_path)
    assert not exported.finished
    finish(exported)
    assert (plain.finished, exported.finished) == (True, False)
    (exported.directory / "model/onnx").mkdir()
    assert exported.finished


def test_a_run_whose_model_was_removed_cannot_be_exported_and_is_finished(tmp_path: Path):
    exported = job(tmp_path, "export=onnx")
    finish(exported)
    (exported.directory / "model").rmdir()
    assert exported.finished


def test_why_a_run_failed_is_kept_until_it_is_started_again_or_finished(tmp_path: Path):
    one = job(tmp_path)
    (tmp_path / "mt").mkdir()
    assert one.failure is None
    record_failure(one.directory, "no space left")
    assert one.failure == "no space left"
    record_failure(one.directory, None)
    assert one.failure is None
    record_failure(one.directory, "no space left")
    finish(one)
    assert one.failure is None


def test_what_fails_after_a_run_was_finished_stands_beside_its_figures(tmp_path: Path):
    one, scores = job(tmp_path), {"macro_f1": 0.5}
    finish(one, metric="macro_f1", dev=scores, test=scores)
    options = StudyOptions(seeds=[0])
    built = {"mt": BuiltArm(metric="macro_f1")}
    found = collect(options, [one.arm], built, [one], {"mt/seed0": "no space left"}, ())
    (run,) = found.runs
    assert (run.status, run.error, run.test, run.complete) == (
        "finished", "no space left", scores, False,
    )  # fmt: skip
    assert found.notes[0].startswith("mt/seed0 finished, but then failed: no space left")
    assert found.arms[0].test is not None


def test_data_of_an_objective_may_depend_on_the_seed(tmp_path: Path):
    other = job(tmp_path, *OWN_DATA, seed=1)
    sum_up(other, {**CONTENTS["data"], "objectives.classification_aux": "rows of seed 1"})
    with composing():
        other.check(CONTENTS, 0)


@pytest.mark.parametrize(
    ("seed", "key"), [(0, "objectives.classification_aux"), (0, "train"), (1, "train")]
)
def test_what_does_not_depend_on_the_seed_has_to_be_as_it_was(tmp_path: Path, seed: int, key: str):
    one = job(tmp_path, *OWN_DATA, seed=seed)
    sum_up(one, {**CONTENTS["data"], key: "changed"})
    with composing(), pytest.raises(CheckpointError) as refused:
        one.check(CONTENTS, 0)
    assert f"is complete, and data ({key}) changed since then" in str(refused.value)
