"""Files that are unusual are read exactly as they are written, or refused in one line."""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from support.file_mutations import FORMATS, KINDS, Mutation, mutated, read_independently, written
from tartan.data import HubOptions, JsonlOptions, Task, load_task
from tartan.data.cache import caching
from tartan.data.labels import label_name
from tartan.errors import TartanError


def load(directory: Path, mutation: Mutation, format: str, source: str) -> Task:
    """Read a task whose training file is a mutation."""
    directory.mkdir(exist_ok=True)
    names = ("train", "dev" if source == "jsonl" else "validation", "test")
    other = written([{"text": "a text of its own", "label": mutation.label}], format)
    for name in names:
        content = mutation.content if name == "train" else other
        (directory / f"{name}.{format}").write_bytes(content)
    place = str(directory)
    options = JsonlOptions(dir=place) if source == "jsonl" else HubOptions(name=place)
    return load_task(source, options)


def outcome(directory: Path, kind: str, format: str, seed: int, source: str = "hub") -> str:
    """Read a mutation and check what becomes of it: `accepted` or `refused`."""
    mutation = mutated(kind, format, seed)
    try:
        with caching(False):
            task = load(directory, mutation, format, source)
    except TartanError as refusal:
        line = str(refusal)
        assert line.isprintable()
        assert len(line) < 1000
        assert f"train.{format}" in line or directory.name in line
        return "refused"
    given = read_independently(mutation.content, format)
    assert task.train["text"][:] == [text for text, _ in given]
    named = [task.labels[label] for label in task.train["label"]]
    assert named == [label_name(label) for _, label in given]
    return "accepted"


def count(directory: Path, seeds: Iterable[int]) -> dict[str, Counter[str]]:
    """What becomes of each class of mutations, in every format and source."""
    outcomes = {kind: Counter[str]() for kind in KINDS}
    cases = [(format, "hub") for format in FORMATS] + [("jsonl", "jsonl")]
    for seed in seeds:
        for kind in KINDS:
            for format, source in cases:
                place = directory / f"{kind}-{format}-{seed}-{source}"
                try:
                    outcomes[kind][outcome(place, kind, format, seed, source)] += 1
                except Exception as error:
                    error.add_note(f"{kind} {format} {seed} {source}")
                    raise
    return outcomes


def test_a_mutated_file_is_read_exactly_or_refused(tmp_path: Path):
    outcomes = count(tmp_path, range(1))
    assert sum(found["accepted"] for found in outcomes.values()) > 20
    assert sum(found["refused"] for found in outcomes.values()) > 15


@pytest.mark.soak
def test_seven_thousand_mutated_files(tmp_path: Path):
    outcomes = count(tmp_path, range(100))
    print(json.dumps(outcomes, indent=1))
    assert sum(found.total() for found in outcomes.values()) == 7000
    assert all(outcomes["alike"][other] == 0 for other in ("refused",))
