from importlib.resources import files

import pytest
import yaml

from tartan.data import DemoOptions, Task, find_source, load_task
from tartan.errors import ConfigError

PRESETS = {
    path.name.removesuffix(".yaml"): yaml.safe_load(path.read_text())
    for path in files("tartan.configs").joinpath("data").iterdir()
    if path.name.endswith(".yaml")
}


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("citation_intent", "macro_f1"),
        ("sciie", "macro_f1"),
        ("chemprot", "accuracy"),
        ("hyperpartisan", "accuracy"),
    ],
)
def test_a_published_task_differs_from_jsonl_in_its_metric_alone(name, metric):
    assert PRESETS[name] == {"defaults": ["jsonl", "_self_"], "metric": metric}


def test_a_source_is_loaded_by_its_name():
    assert isinstance(load_task("demo", DemoOptions(unlabelled=0)), Task)


def test_an_unknown_source_is_answered_with_the_nearest():
    with pytest.raises(ConfigError) as caught:
        find_source("jsnol")
    assert str(caught.value) == "data.source=jsnol is not a source: did you mean 'jsonl'?"
