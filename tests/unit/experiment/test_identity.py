"""What a run depends on: each part, and what becomes of a run where it differs."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tartan.config.schema import Config
from tartan.data.tokenizing import token_state
from tartan.distributed.ranks import Ranks
from tartan.errors import CheckpointError
from tartan.experiment.identity import (
    Identity,
    dependent,
    differing_keys,
    parse_identity,
    value_at,
)
from tartan.experiment.model_files import loaded_files, model_hashes
from tartan.experiment.plan import Plan
from tartan.experiment.plugin_code import code_hash
from tartan.experiment.resume import Saved, check_trained, compare
from tartan.plugins import Plugins
from tartan.testing import save_tiny, tiny_source, tiny_tokenizer

PARTS: dict[str, dict[str, Any]] = {
    "configuration": {"steps": 6, "seed": 0, "eval": {"every": 3}},
    "data": {"train": "a", "domain": "b"},
    "tokenizer": {"tokenizer": "c"},
    "model": {"config.json": "d", "model.safetensors": "e"},
    "plugins": {"mlm": "tartan 0.1.0 f"},
    "device": {"device": "cpu", "precision": "fp32"},
    "environment": {"torch": "2.13.0", "threads": "1", "hub revision of a/b.c": "g"},
}
CHANGED = {
    "configuration.steps": "steps (6, now other)",
    "data.train": "data (train)",
    "data.domain": "data (domain)",
    "tokenizer.tokenizer": "tokenizer",
    "model.config.json": "model (config.json)",
    "model.model.safetensors": "model (model.safetensors)",
    "plugins.mlm": "plugin (mlm)",
    "device.device": "device (cpu, now other)",
    "device.precision": "precision (fp32, now other)",
    "environment.torch": "torch (2.13.0, now other)",
    "environment.threads": "threads (1, now other)",
    "environment.hub revision of a/b.c": "hub revision of a/b.c (g, now other)",
}
"""Each key, and how a message names it."""


def identity(**parts: Any) -> Identity:
    return Identity("run", PARTS | parts)


def changed(key: str) -> Identity:
    part, _, name = key.partition(".")
    return identity(**{part: PARTS[part] | {name: "other"}})


def saved(finished: bool = False) -> Saved:
    return Saved(Path("checkpoint-6"), {}, identity(), finished=finished)


def plan(**options: Any) -> Plan:
    return Plan(Config(**options), {}, {}, Path("out"), Plugins([], [], []), Ranks())


def refused(part: str, finished: bool) -> bool:
    if finished:  # the configuration is compared before anything is built
        return part not in ("configuration", "device", "environment")
    return part != "environment"


@pytest.mark.parametrize("finished", [False, True], ids=["unfinished", "finished"])
@pytest.mark.parametrize("key", CHANGED)
def test_each_part_that_changes_is_refused_or_reported(key: str, finished: bool):
    part, now = key.partition(".")[0], changed(key)
    assert now.digest != identity().digest
    if refused(part, finished):
        with pytest.raises(CheckpointError) as caught:
            compare(saved(finished), now, plan())
        assert CHANGED[key] in str(caught.value)
        assert "\n" not in str(caught.value)
    elif part != "configuration":
        found = compare(saved(finished), now, plan())
        assert found.notices == [f"{CHANGED[key]}: the last bits of the results may differ"]


@pytest.mark.parametrize("key", CHANGED)
def test_what_changed_is_recorded_where_that_is_allowed(key: str):
    part, _, name = key.partition(".")
    found = compare(saved(), changed(key), plan(resume_changed=True))
    (change,) = found.added([], 6)
    assert change["step"] == 6
    assert change["changed"] == [CHANGED[key].split(" (" if "now" in CHANGED[key] else "\n")[0]]
    if part in ("configuration", "device", "environment"):
        assert change["values"] == {name: [PARTS[part][name], "other"]}


def test_the_same_parts_are_accepted_whatever_the_run():
    again = replace(identity(), run="another")
    assert compare(saved(), again, plan()).changed == []
    assert again.digest == identity().digest


@pytest.mark.parametrize(
    "key", ["device", "precision", "tf32", "compile", "eval.batch_size", "model.lora.export"]
)
def test_once_all_steps_are_taken_only_evaluation_and_export_may_change(key: str):
    def values(value: str, **more: object) -> dict[str, object]:
        content: object = value
        for name in reversed(key.split(".")):
            content = {name: content}
        assert isinstance(content, dict)
        return content | more

    kept = Saved(Path("checkpoint-6"), values("before", steps=6))
    check_trained(kept, replace(plan(), values=values("now", steps=6)))
    with pytest.raises(CheckpointError, match=r"\(steps differ\), and all of its steps are taken"):
        check_trained(kept, replace(plan(), values=values("now", steps=9)))


def test_an_identity_is_read_as_it_was_written():
    found = parse_identity(json.loads(json.dumps(identity().plain())), Path("identity.json"))
    assert found == identity()
    assert found.plain()["digest"] == identity().digest


@pytest.mark.parametrize("content", [None, [], {}, {"run": "a"}, {"run": "a", "parts": {"x": 3}}])
def test_what_is_no_identity_is_one_line(content: Any):
    with pytest.raises(CheckpointError, match=r"^identity\.json has no valid record"):
        parse_identity(content, Path("identity.json"))


def test_where_a_run_is_and_how_it_is_shown_is_not_part_of_it():
    free = {"run_dir": "a", "resume": "auto", "tracker": "wandb", "report": False, "cache": True}
    values = free | {"seed": 1, "checkpoint": {"every": 5, "keep": 2}, "eval": {"every": 3}}
    assert dependent(values) == {"seed": 1, "checkpoint": {}, "eval": {"every": 3}}


@pytest.mark.parametrize("section", ["objectives", "stages"])
def test_objectives_and_stages_in_another_order_are_another_run(section: str):
    """Weights, moments and dropout follow the order of objectives."""
    one, other = ({key: {"scale": 1} for key in names} for names in ("ab", "ba"))
    first, second = (
        {"objectives": found} if section == "objectives" else {"schedule": {"stages": found}}
        for found in (one, other)
    )
    key = "objectives" if section == "objectives" else "schedule.stages"
    assert differing_keys(first, second) == [f"{key} (order)"]
    assert value_at(first, f"{key} (order)") == ["a", "b"]
    assert identity(configuration=first).digest != identity(configuration=second).digest
    assert differing_keys({"optimizer": one}, {"optimizer": other}) == []
    other["a"]["scale"] = 2
    assert differing_keys(first, second) == [f"{key} (order)", f"{key}.a.scale"]


def test_keys_that_are_numbers_are_the_same_in_memory_and_in_a_file():
    weights = {1: 5, 0: 1, "NA": 2, None: 3}
    values = {"primary": {"class_weights": weights}, "study": {"arms": [{"weights": weights}]}}
    stored = json.loads(json.dumps(identity(configuration=dependent(values)).plain()))
    assert differing_keys(stored["parts"]["configuration"], dependent(values)) == []
    assert parse_identity(stored, Path("identity.json")).digest == stored["digest"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("model_max_length", 7), ("truncation_side", "left"), ("split_special_tokens", True)],
)
def test_a_tokenizers_state_follows_its_settings(name: str, value: Any):
    tokenizer = tiny_tokenizer()
    before = token_state(tokenizer)
    tokenizer(["a word"] * 3, truncation=True, max_length=3, padding=True)
    assert token_state(tokenizer) == before
    setattr(tokenizer, name, value)
    assert token_state(tokenizer) != before


def test_a_model_is_known_by_the_files_it_was_loaded_from(tmp_path: Path):
    directory = save_tiny(tmp_path / "saved")
    source = load(directory)
    found = model_hashes(source.body())
    assert sorted(found) == ["config.json", "model.safetensors"]
    (directory / "README.md").write_text("nothing that is loaded")
    assert model_hashes(source.body()) == found
    (directory / "modeling_own.py").write_text("code = 1")
    assert sorted(model_hashes(source.body())) == [*sorted(found), "modeling_own.py"]


def test_the_parts_of_divided_weights_are_hashed(tmp_path: Path):
    source = tiny_source("bert")
    source.body().model.save_pretrained(tmp_path, max_shard_size="20KB")
    names = {path.name for path in loaded_files(tmp_path)}
    shards = {path.name for path in tmp_path.glob("model-*.safetensors")}
    assert len(shards) > 1
    assert names == {"config.json", "model.safetensors.index.json", *shards}


def test_random_weights_have_no_files():
    assert model_hashes(tiny_source("bert").body()) == {}


def test_code_is_hashed_by_names_and_contents(tmp_path: Path):
    package = tmp_path / "package"
    (package / "inner").mkdir(parents=True)
    (package / "a.py").write_text("one = 1\n")
    (package / "inner/b.py").write_text("two = 2\n")
    before = code_hash([package])
    (package / "notes.txt").write_text("no code")
    assert code_hash([package]) == before
    (package / "inner/b.py").write_text("two = 3\n")
    assert code_hash([package]) != before
    (package / "inner/b.py").write_text("two = 2\n")
    assert code_hash([package]) == before
    (package / "a.py").rename(package / "c.py")
    assert code_hash([package]) != before


def load(directory: Path) -> Any:
    from tartan.body import AutoOptions, ModelSource  # noqa: PLC0415

    return ModelSource.pretrained(AutoOptions(name=str(directory)))
