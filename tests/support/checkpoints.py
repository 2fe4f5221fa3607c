"""Checkpoints that tests load, edit and are refused."""

import json

import pytest

from tartan.body import AutoOptions, ModelSource
from tartan.errors import ModelError


def load(name, **options):
    return ModelSource.pretrained(AutoOptions(name=str(name), **options))


def refusal(name, **options):
    with pytest.raises(ModelError) as caught:
        load(name, **options)
    text = str(caught.value)
    assert "\n" not in text
    return text


def edit_json(path, **values):
    content = json.loads(path.read_text())
    content.update(values)
    path.write_text(json.dumps({k: v for k, v in content.items() if v is not None}))
