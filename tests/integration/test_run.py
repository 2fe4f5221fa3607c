"""A run: what it does, what it leaves, and that its parts are the same however it is cut."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from support import experiments
from support.command import SMALL, Answer, records, summary, write_task
from support.plain import elsewhere
from tartan import Needs
from tartan.experiment.build import Experiment
from tartan.train.checkpoint import Checkpoints
from tartan.train.evaluate import predict

Tartan = Callable[..., Answer]


def test_the_command_of_the_readme_trains_and_leaves_its_files(tartan: Tartan, tmp_path: Path):
    run = ["run", "objectives=[mlm]", "weighting=meta", "run_dir=out", *SMALL, "report=true"]
    answer = tartan(*run)
    assert answer.status == 0, answer.err
    left = {path.name for path in (tmp_path / "out").iterdir()}
    assert left == {
        ".hydra", "checkpoints", "metrics.jsonl", "model", "summary.json", "figures",
        "predictions-dev.jsonl", "report.html", "report.md", "metrics.csv", "confusion.csv",
    }  # fmt: skip
    assert {p.name for p in (tmp_path / "out/.hydra").iterdir()} == {
        "config.yaml", "hydra.yaml", "overrides.yaml",
    }  # fmt: skip
    assert "best model at step" in answer.out


def test_the_summary_says_what_came_out(tartan: Tartan, tmp_path: Path):
    tartan("run", "objectives=[mlm]", "weighting=meta", "run_dir=out", "seed=3", *SMALL)
    found = summary(tmp_path / "out")
    assert (found["seed"], found["primary"]) == (3, "classification")
    assert (found["objectives"], found["weighting"]) == (["mlm"], "meta")
    for split in ("dev", "test"):
        assert set(found[split]) == {"macro_f1", "accuracy"}
        assert all(0 <= value <= 1 for value in found[split].values())
    assert 0 < found["best_step"] <= found["steps"]
    assert 0 < found["seconds_per_step"] * found["steps"] < found["seconds"]
    assert found["peak_memory_bytes"] > 2**20
    assert sum(found["weights"].values()) == pytest.approx(1)
    assert set(found["weights"]) == {"classification", "mlm"}
    assert {"tartan", "torch", "transformers", "python"} <= set(found["versions"])
    assert found["data"]["train"]["rows"] == 24
    assert found["data"]["task"]["rows"] == 64
    assert all(len(split["sha256"]) == 64 for split in found["data"].values())


def test_metrics_have_a_name_for_each_objective(tartan: Tartan, tmp_path: Path):
    tartan("run", "objectives=[mlm]", "weighting=meta", "run_dir=out", *SMALL)
    lines = records(tmp_path / "out")
    steps = [line["step"] for line in lines]
    assert steps == sorted(steps)
    assert set(lines[0]) == {
        "step", "stage", "train/accuracy/mlm",
        *(f"train/{kind}/{name}" for kind in ("loss", "weight", "alignment")
          for name in ("classification", "mlm")),
    }  # fmt: skip
    assert {"eval/macro_f1", "eval/accuracy"} <= set(lines[1])


def test_the_same_seed_gives_the_same_run_and_another_seed_another(tartan: Tartan, tmp_path: Path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        tartan(
            "run", "objectives=[mlm]", "weighting=meta", f"run_dir={name}", f"seed={seed}", *SMALL
        )
    one, same, other = (records(tmp_path / name) for name in "abc")
    assert one == same
    assert one != other


@pytest.mark.parametrize("weighting", ["static", "meta"])
def test_accumulation_gives_the_run_of_the_whole_batch(
    tartan: Tartan, tmp_path: Path, weighting: str
):
    common = [*SMALL, f"weighting={weighting}", "model.dropout=0", "objectives=[clm]"]
    tartan("run", "run_dir=whole", *common, "batch_size=8", "accumulate=1")
    tartan("run", "run_dir=parts", *common, "batch_size=2", "accumulate=4")
    compared = set()
    for whole, parts in zip(records(tmp_path / "whole"), records(tmp_path / "parts"), strict=True):
        for key in whole.keys() - {"stage"}:
            compared.add(key)
            assert parts[key] == pytest.approx(whole[key], rel=1e-4, abs=1e-6), key
    assert {"train/loss/classification", "train/loss/clm", "eval/macro_f1"} <= compared
    assert ("train/alignment/classification" in compared) is (weighting == "meta")


def test_an_objective_leaves_the_batches_of_another_as_they_were(tartan: Tartan, tmp_path: Path):
    still = [*SMALL, "model.dropout=0", "optimizer.body_lr=0", "optimizer.head_lr=0"]
    tartan("run", "run_dir=alone", "schedule=finetune", *still)
    tartan("run", "run_dir=joint", "objectives=[mlm]", *still)
    losses = [
        [line.get("train/loss/classification") for line in records(tmp_path / name)][:3]
        for name in ("alone", "joint")
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_the_model_is_a_hugging_face_model_with_the_same_logits(tartan: Tartan, tmp_path: Path):
    """Loaded where tartan cannot be imported, against tartan's own logits of the best model."""
    overrides = ["objectives=[mlm]", "weighting=meta", "run_dir=out", *SMALL]
    assert tartan("run", *overrides).status == 0
    experiment = built("objectives=[mlm]", "weighting=meta", "run_dir=out")
    model = experiment.setup.model
    Checkpoints(tmp_path / "out/checkpoints", 1).load_best(model)
    rows = experiment.texts.split("test")
    ours = predict(model, rows, 4, experiment.setup.runtime)

    script = """
inputs = tokenizer(given, return_tensors="pt", padding=True)
answer = [model(**inputs).logits.tolist(), model.config.id2label]
"""
    theirs, labels = elsewhere(
        "SequenceClassification", tmp_path / "out/model", script, list(experiment.task.test["text"])
    )
    torch.testing.assert_close(torch.tensor(theirs), ours, rtol=0, atol=1e-5)
    assert tuple(labels.values()) == experiment.task.labels


def test_a_directory_of_jsonl_files_is_a_task(tartan: Tartan, tmp_path: Path):
    write_task(tmp_path / "data", unlabelled="green number 1\n", domain="some other text\nmore\n")
    answer = tartan("run", "data=jsonl", "data.dir=data", "objectives=[tapt,dapt]",
                    "objectives.dapt.mask_prob=0.5", "run_dir=out", *SMALL[:9])  # fmt: skip
    assert answer.status == 0, answer.err
    found = summary(tmp_path / "out")
    assert found["objectives"] == ["tapt", "dapt"]
    assert found["data"]["domain"]["rows"] == 2
    assert found["weights"]["dapt"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("schedule", "stages"),
    [("joint", ["joint", "finetune"]), ("pretrain", ["pretrain", "finetune"]),
     ("finetune", ["finetune"])],
)  # fmt: skip
def test_a_schedule_runs_its_stages_in_turn(
    tartan: Tartan, tmp_path: Path, schedule: str, stages: list[str]
):
    objectives = "objectives=[]" if schedule == "finetune" else "objectives=[mlm]"
    tartan("run", objectives, f"schedule={schedule}", "run_dir=out", *SMALL)
    lines = records(tmp_path / "out")
    assert list(dict.fromkeys(line["stage"] for line in lines)) == stages
    trained = {key for line in lines if line["stage"] == "pretrain" for key in line}
    assert not any("classification" in key or key.startswith("eval/") for key in trained)


def test_the_end_task_alone_is_kept_only_if_dev_improves(tartan: Tartan, tmp_path: Path):
    """A last stage that ruins the model leaves the best joint one."""
    ruin = ["schedule.stages.finetune.optimizer.body_lr=5", "model.dropout=0"]
    tartan("run", "objectives=[mlm]", "run_dir=out", *SMALL, *ruin, "optimizer.body_lr=0.003")
    evaluated = [line for line in records(tmp_path / "out") if "eval/macro_f1" in line]
    best = max(line["eval/macro_f1"] for line in evaluated)
    found = summary(tmp_path / "out")
    assert found["dev"]["macro_f1"] == pytest.approx(best)
    first = next(line["step"] for line in evaluated if line["eval/macro_f1"] == best)
    assert found["best_step"] == first


def test_ties_do_not_reset_patience(tartan: Tartan, tmp_path: Path):
    """A model that does not move ties with itself at every evaluation, and stops."""
    still = ["optimizer.body_lr=0", "optimizer.head_lr=0", "eval.patience=2", "steps=60"]
    tartan("run", "schedule=finetune", "run_dir=out", *SMALL, *still)
    assert summary(tmp_path / "out")["steps"] == 9  # the first evaluation, then two ties
    assert summary(tmp_path / "out")["best_step"] == 3


def built(*overrides: str) -> Experiment:
    """What a command would train."""
    return experiments.built(*overrides, *SMALL)


@pytest.mark.parametrize(("share", "held"), [(0.25, 6), (0.1, 2)])
def test_the_dev_gradient_may_come_from_a_held_out_share_of_train(share: float, held: int):
    """On whose rows the end task then does not train."""
    split = ["weighting=meta", "weighting.probe.split=train", f"weighting.probe.held_out={share}"]
    whole, experiment = built(), built(*split)
    probed = [row["input_ids"] for row in experiment.setup.probed["train"]]
    task = experiment.setup.model.end_task
    trained = [row["input_ids"] for row in task.examples()]
    everything = [row["input_ids"] for row in whole.setup.model.end_task.examples()]
    assert len(probed) == held
    assert sorted(probed + trained) == sorted(everything)
    assert whole.setup.probed["dev"] is whole.setup.dev


def test_options_of_a_plugin_stand_below_its_own_key():
    """Each reaches what it is an option of."""
    experiment = built(
        "objectives=[mlm]", "weighting=meta", "objectives.mlm.mask_prob=1.0",
        "objectives.mlm.batch_size=3", "weighting.every=4", "weighting.probe.fit_batch_size=5",
    )  # fmt: skip
    setup = experiment.setup
    rows = setup.streams["mlm"].rows(0)
    assert len(rows) == 3
    batch = setup.model.objective("mlm").collate(rows, torch.Generator())
    assert batch.items == sum(len(row["input_ids"]) - 2 for row in rows)
    weighting = setup.make_weighting(None, setup.model.names)
    assert weighting.probe.fit_batch_size == 5
    assert [Needs.DEV in weighting.due(step) for step in range(4)] == [True, False, False, False]


@pytest.mark.parametrize(
    "given",
    [["weighting.weights={classification: 0.7, mlm: 0.3}"],
     ["weighting.weights.classification=0.7", "weighting.weights.mlm=0.3"]],
)  # fmt: skip
def test_fixed_weights_are_given_as_a_map_or_one_by_one(
    tartan: Tartan, tmp_path: Path, given: list[str]
):
    answer = tartan("run", "objectives=[mlm]", *given, "run_dir=out", *SMALL)
    assert answer.status == 0, answer.err
    weights = summary(tmp_path / "out")["weights"]
    assert weights == pytest.approx({"classification": 0.7, "mlm": 0.3})


def test_several_runs_in_one_command(tartan: Tartan, tmp_path: Path):
    answer = tartan("run", "-m", "seed=0,1", "weighting=static,meta", "objectives=[mlm]",
                    "hydra.sweep.dir=sweep", *SMALL)  # fmt: skip
    assert answer.status == 0, answer.err
    found = [summary(path.parent) for path in (tmp_path / "sweep").rglob("summary.json")]
    assert sorted((s["seed"], s["weighting"]) for s in found) == [
        (0, "meta"), (0, "static"), (1, "meta"), (1, "static"),
    ]  # fmt: skip


def test_bf16_keeps_its_weights_in_float32(tartan: Tartan, tmp_path: Path):
    from safetensors.torch import load_file  # noqa: PLC0415

    answer = tartan("run", "objectives=[mlm]", "weighting=meta", "run_dir=out", *SMALL,
                    "precision=bf16")  # fmt: skip
    assert answer.status == 0, answer.err
    weights = load_file(tmp_path / "out/model/model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}
    assert summary(tmp_path / "out")["precision"] == "bf16"
