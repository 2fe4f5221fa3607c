"""Nothing that a run depends on changes silently: between two starts, or after it is complete."""

import json
import shutil
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from support.command import SMALL, Answer, summary, write_task
from support.faulty import install
from support.process import KILL, answered, at_call, forked
from support.runs import differences
from tartan.plugins import discover
from tartan.testing import save_tiny

RUN = [
    "run", "run_dir=out", "data=jsonl", "data.dir=data", "model=auto", "model.name=model",
    "objectives=[faulty]", "weighting=balky", "steps=12", "batch_size=4", "eval.every=3",
    "log.every=2", "checkpoint.every=4", *SMALL[4:6], "report=false",
]  # fmt: skip
Change = Callable[[Path], None]


def edit_json(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def add_text(name: str, text: str) -> Change:
    def add(place: Path) -> None:
        with (place / name).open("a") as file:
            file.write(text)

    return add


def change_tokenizer(place: Path) -> None:
    path = place / "model/tokenizer.json"
    content = json.loads(path.read_text())
    content["normalizer"] = None
    path.write_text(json.dumps(content))


def change_weights(place: Path) -> None:
    path = place / "model/model.safetensors"
    weights = load_file(path)
    weights[next(iter(weights))] += 1
    save_file(weights, path, {"format": "pt"})


def change_version(place: Path) -> None:
    info = place / "site/tartan_faulty-1.2.dist-info"
    metadata = (info / "METADATA").read_text()
    (info / "METADATA").write_text(metadata.replace("1.2", "1.3"))


CHANGES: dict[str, Change] = {
    "data (train)": add_text("data/train.jsonl", '{"text": "red and late", "label": "warm"}\n'),
    "data (test)": add_text("data/test.jsonl", '{"text": "blue and late", "label": "cold"}\n'),
    "tokenizer": change_tokenizer,
    "model (config.json)": lambda place: edit_json(
        place / "model/config.json", hidden_dropout_prob=0.3
    ),
    "model (model.safetensors)": change_weights,
    "plugin (faulty)": add_text("site/tartan_faulty.py", "\nFACTOR = 2\n"),
    "plugin (balky)": change_version,
}
"""What is named, and how it is changed."""


def write(place: Path) -> None:
    """Data, a model and a plugin; a run reads nothing else."""
    write_task(place / "data")
    save_tiny(place / "model")
    install(place / "site")


def started(place: Path, *overrides: str, prepare: Callable[[], None] = lambda: None) -> Answer:
    """Run in a process of its own, in a directory."""

    def begin() -> None:
        sys.path.insert(0, str(place / "site"))
        discover.cache_clear()
        prepare()

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        return answered([*RUN, *overrides], place / "said", begin)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two directories: `finished` holds a complete run, `unfinished` the same, killed."""
    here = tmp_path_factory.mktemp("runs")
    write(here / "finished")
    shutil.copytree(here / "finished", here / "unfinished")
    answer = started(here / "finished")
    assert answer.status == 0, answer.err
    kill = partial(at_call, "tartan.train.stage:Stage.take", 10, KILL)
    assert started(here / "unfinished", prepare=kill).status == -signal.SIGKILL
    assert (here / "unfinished/out/checkpoints/checkpoint-8").is_dir()
    return here


@pytest.fixture
def place(runs: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A copy of one of them."""
    shutil.copytree(runs / getattr(request, "param", "unfinished"), tmp_path / "place")
    return tmp_path / "place"


def contents(directory: Path) -> dict[Path, bytes]:
    found = (path for path in directory.rglob("*") if path.is_file() and path.name != ".lock")
    return {path: path.read_bytes() for path in found}


@pytest.mark.parametrize("place", ["unfinished", "finished"], indirect=True)
@pytest.mark.parametrize("name", CHANGES)
def test_a_run_whose_ground_has_changed_is_refused_and_nothing_lost(
    place: Path, name: str, request: pytest.FixtureRequest
):
    CHANGES[name](place)
    before = contents(place / "out")
    said = started(place).refusal()
    assert name in said
    finished = (place / "out/summary.json").exists()
    assert ("out is complete, and " if finished else " changed since checkpoint-8 was") in said
    assert contents(place / "out") == before


def test_what_changed_is_kept_where_the_run_is_told_to_resume(place: Path):
    CHANGES["tokenizer"](place)
    answer = started(place, "resume_changed=true")
    assert answer.status == 0, answer.err
    (change,) = summary(place / "out")["changes"]
    assert (change["step"], change["changed"]) == (8, ["tokenizer"])


@pytest.mark.parametrize("place", ["finished"], indirect=True)
def test_a_finished_run_keeps_what_it_depended_on(place: Path):
    found = summary(place / "out")["identity"]
    parts = found["parts"]
    assert len(found["digest"]) == 64
    assert parts["configuration"]["seed"] == 0
    assert set(parts["data"]) == {"train", "dev", "test", "task"}
    assert set(parts["model"]) == {"config.json", "model.safetensors"}
    assert set(parts["plugins"]) == {"balky", "classification", "faulty", "static"}
    assert parts["device"] == {"device": "cpu", "precision": "fp32"}
    assert parts["environment"]["threads"] == "1"
    checkpoint = max((place / "out/checkpoints").glob("checkpoint-*"))
    sealed = json.loads((checkpoint / "identity.json").read_text())
    assert sealed["identity"] == found
    assert "identity.json" in json.loads((checkpoint / "manifest.json").read_text())


def test_another_number_of_threads_is_reported_and_kept_each_time(place: Path):
    """It gives other bits, and so a table that mixes both has to be able to say so."""
    import torch  # noqa: PLC0415

    answer = started(place, prepare=lambda: torch.set_num_threads(2))
    assert answer.status == 0, answer.err
    assert "threads (1, now 2): the last bits of the results may differ" in answer.out
    found = summary(place / "out")
    (change,) = found["changes"]
    assert change == {"step": 8, "changed": ["threads"], "values": {"threads": ["1", "2"]}}
    assert found["identity"]["parts"]["environment"]["threads"] == "2"
    again = started(place)
    assert again.status == 0
    assert "threads (2, now 1)" in again.out


def test_a_finished_run_is_compared_with_what_a_run_would_compute_with(
    tartan: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
):
    command = ["run", "run_dir=out", *SMALL, "precision=auto"]
    for gains, reported in ((True, False), (True, False), (False, True)):
        monkeypatch.setattr("tartan.train.runtime.gains_by_bf16", lambda _, gains=gains: gains)
        answer = tartan(*command)
        assert answer.status == 0, answer.err
        line = "precision (bf16, now fp32): the last bits of the results may differ"
        assert (line in answer.out.splitlines()) is reported
        assert ("last bits" in answer.out) is reported
    assert summary(Path("out"))["precision"] == "bf16"


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("checkpoints/origin.json", "origin.json was missing and was restored from checkpoint-8"),
        (".hydra", ".hydra/config.yaml was missing and was written again"),
    ],
)
def test_a_record_that_is_deleted_is_reported_and_restored(
    runs: Path, place: Path, missing: str, said: str
):
    path = place / "out" / missing
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    answer = started(place)
    assert answer.status == 0, answer.err
    assert said in answer.out
    assert path.exists()
    assert differences(runs / "finished/out", place / "out") == []


@pytest.mark.parametrize("place", ["unfinished", "finished"], indirect=True)
def test_another_configuration_is_refused_without_hydras_directory_too(place: Path):
    shutil.rmtree(place / "out/.hydra")
    assert "a run of another configuration (seed differ)" in started(place, "seed=1").refusal()
    assert "already has a run" in started(place, "resume=never").refusal()


@pytest.mark.parametrize("what", ["the newest checkpoint", "all of checkpoints/"])
def test_a_checkpoint_of_another_seed_is_never_used(runs: Path, place: Path, what: str):
    kill = partial(at_call, "tartan.train.stage:Stage.take", 10, KILL)
    assert started(place, "run_dir=other", "seed=1", prepare=kill).status == -signal.SIGKILL
    if what == "the newest checkpoint":
        target = place / "out/checkpoints/checkpoint-8"
        shutil.rmtree(target)
        shutil.copytree(place / "other/checkpoints/checkpoint-8", target)
        answer = started(place)
        assert answer.status == 0, answer.err
        assert "checkpoint-8: history.jsonl does not hold what it was written with" in answer.out
        assert differences(runs / "finished/out", place / "out") == []
    else:
        shutil.rmtree(place / "out/checkpoints")
        shutil.copytree(place / "other/checkpoints", place / "out/checkpoints")
        assert "another configuration (seed differ)" in started(place).refusal()


def test_a_checkpoint_of_another_run_of_the_same_configuration_is_refused(place: Path):
    kill = partial(at_call, "tartan.train.stage:Stage.take", 10, KILL)
    assert started(place, "run_dir=other", prepare=kill).status == -signal.SIGKILL
    origin = place / "out/checkpoints/origin.json"
    shutil.copyfile(place / "other/checkpoints/origin.json", origin)
    said = started(place).refusal()
    assert "checkpoint-8 belongs to another run. Remove it, choose another run_dir" in said


MALFORMED = {
    "a list": lambda path: path.write_text("[1]"),
    "an empty object": lambda path: path.write_text("{}"),
    "values of other types": lambda path: edit_json(
        path, dev=["x"], identity={"run": 1, "parts": {"data": 3}}, run=5
    ),
}


@pytest.mark.parametrize("how", MALFORMED)
@pytest.mark.parametrize("place", ["finished"], indirect=True)
def test_a_malformed_summary_is_one_line(place: Path, how: str):
    MALFORMED[how](place / "out/summary.json")
    assert "summary.json" in started(place).refusal()


def test_a_malformed_origin_is_one_line(place: Path):
    path = place / "out/checkpoints/origin.json"
    for content in ("[1]", '{"run": 5}', "{ no"):
        path.write_text(content)
        assert "checkpoint" in started(place).refusal()


def reseal(checkpoint: Path) -> None:
    from tartan.train.manifest import MANIFEST, seal  # noqa: PLC0415

    (checkpoint / MANIFEST).unlink()
    seal(checkpoint)


def test_a_malformed_identity_is_one_line(place: Path):
    checkpoint = place / "out/checkpoints/checkpoint-8"
    for content in ("[]", "{}", '{"identity": {"run": "a", "parts": {"data": 3}}, "changes": []}'):
        (checkpoint / "identity.json").write_text(content)
        reseal(checkpoint)
        assert (
            "identity.json has no valid record of what its run depends on"
            in started(place).refusal()
        )


def test_a_pickle_in_a_checkpoint_is_one_line(place: Path):
    """Sealed by whoever made it; it is not loaded."""
    import torch  # noqa: PLC0415

    checkpoint = place / "out/checkpoints/checkpoint-8"
    torch.save({"optimiser": forked}, checkpoint / "training.pt")
    reseal(checkpoint)
    said = started(place).refusal()
    assert "training.pt holds objects other than tensors and plain values" in said


def test_a_checkpoint_of_an_older_version_is_refused(place: Path):
    checkpoint = place / "out/checkpoints/checkpoint-8"
    (checkpoint / "identity.json").unlink()
    reseal(checkpoint)
    assert "does not say which data, model and plugins its run used" in started(place).refusal()
    assert "Finish the run with that version" in started(place, "resume_changed=true").refusal()


@pytest.mark.parametrize("place", ["finished"], indirect=True)
def test_a_finished_run_of_an_older_version_is_shown_with_a_notice(place: Path):
    path = place / "out/summary.json"
    content = json.loads(path.read_text())
    del content["identity"]
    path.write_text(json.dumps(content))
    answer = started(place)
    assert answer.status == 0
    assert "an older version wrote it. Only the configuration was compared" in answer.out
    assert (
        "another configuration (seed differ), and it is complete"
        in started(place, "seed=1").refusal()
    )
