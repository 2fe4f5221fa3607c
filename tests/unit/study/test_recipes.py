"""Recipes compose into what was released; each value has its source in its file."""

import pytest

from support.experiments import configured

TASKS = ("citation_intent", "sciie", "chemprot", "hyperpartisan")


def recipe(name, task="citation_intent", *overrides):
    return configured(f"experiment={name}", f"data={task}", "data.dir=x", *overrides)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", ["paper_mt", "paper_meta"])
def test_the_joint_recipes(name, task):
    config = recipe(name, task)
    stages = config.schedule.stages
    assert list(config.objectives) == ["tapt"]
    assert (config.batch_size, config.accumulate) == (64, 2)
    assert (config.eval.every, config.eval.patience) == (30, 20)
    assert (stages["joint"].epochs, stages["finetune"].epochs) == (150, 10)
    assert stages["finetune"].optimizer == {"body_lr": 5e-6, "head_lr": 5e-6}
    assert (config.optimizer.body_lr, config.optimizer.head_lr) == (1e-4, 1e-3)
    assert config.model["name"] == "FacebookAI/roberta-base"
    assert config.model["max_length"] == 512


def test_meta_has_its_weights_rate_and_probe():
    weighting = recipe("paper_meta").weighting
    assert (weighting["plugin"], weighting["lr"]) == ("meta", 1e-2)
    probe = weighting["probe"]
    assert (probe["lr"], probe["weight_decay"], probe["steps"]) == (1e-3, 0.1, 10)
    assert (probe["fit_batch_size"], probe["grad_batch_size"]) == (32, 64)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(("name", "rows"), [("finetune", None), ("tapt", 256), ("dapt", 2048)])
def test_the_baselines(name, rows, task):
    config = recipe(f"paper_{name}", task)
    assert config.primary["batch_size"] * config.accumulate == 32
    assert config.eval.epochs == 1
    stage = config.schedule.stages["finetune"]
    assert (stage.epochs, stage.patience) == (10, 3)
    assert config.optimizer.body_lr == config.optimizer.head_lr == 2e-5
    if rows:
        assert list(config.objectives) == [name]
        assert config.objectives[name]["batch_size"] * config.accumulate == rows
        assert list(config.schedule.stages) == ["pretrain", "finetune"]


def test_a_recipe_is_a_beginning_what_is_typed_comes_after_it():
    config = recipe("paper_meta", "sciie", "objectives=[tapt,dapt]", "batch_size=8")
    assert list(config.objectives) == ["tapt", "dapt"]
    assert config.batch_size == 8


def test_a_recipe_takes_other_data_too():
    assert recipe("paper_tapt", "jsonl").data["dir"] == "x"
