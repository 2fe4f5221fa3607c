"""A file with anything wrong with it is accepted, or refused in a line that says where."""

import re
import resource
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from support.mutations import FILES, TASKS, mutate, write
from tartan.data import JsonlOptions, load_task, tokenize, train_tokenizer
from tartan.data.cache import caching
from tartan.errors import DataError

TOKENIZER = train_tokenizer(["red green blue yes no"], 100)


@pytest.fixture(scope="module")
def directories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A valid task of each kind."""
    base = tmp_path_factory.mktemp("tasks")
    for task in TASKS:
        write(base / task, task)
    return base


def read(directory: Path, task: str) -> str:
    """Read a task as a run does: what refuses it, or nothing."""
    kind, _ = TASKS[task]
    try:
        with caching(False):
            found = load_task("jsonl", JsonlOptions(dir=str(directory)), kind)
            for part in (found.train, found.dev, found.test, *found.corpora.values()):
                rows = tokenize(part, TOKENIZER, 16).rows
                assert all(0 < len(ids) <= 16 for ids in rows["input_ids"])
    except DataError as refusal:
        return str(refusal)
    return ""


def check(refusal: str, path: Path) -> str:
    """What kind of refusal it is; it has to be one line that names a file, and its line."""
    assert refusal.isprintable()
    assert len(refusal) < 1500
    places = "|".join(re.escape(str(path.parent / name)) for name in FILES)
    if re.match(rf"({places}):\d+: ", refusal):
        return "refused with file and line"
    assert re.match(
        rf"({places}): the file is empty|{path.parent.name}: (train has the one|all \d+ texts)",
        refusal,
    ), refusal
    return "refused as a whole"


def count(directories: Path, numbers: range) -> Counter[str]:
    """What becomes of mutated files."""
    outcomes: Counter[str] = Counter()
    for number in numbers:
        random = Random(number)
        task, name = random.choice(list(TASKS)), random.choice(FILES)
        path = directories / task / name
        whole = path.read_bytes()
        path.write_bytes(mutate(whole, random))
        try:
            refusal = read(path.parent, task)
            outcomes[check(refusal, path) if refusal else "accepted"] += 1
        except Exception as error:
            error.add_note(f"mutation {number} of {task}/{name}")
            raise
        finally:
            path.write_bytes(whole)
    return outcomes


@pytest.mark.parametrize("task", TASKS)
def test_the_files_are_accepted_as_they_are(directories, task):
    assert read(directories / task, task) == ""


def test_a_mutated_file_is_accepted_or_refused_in_one_line(directories):
    outcomes = count(directories, range(200))
    assert min(outcomes["accepted"], outcomes["refused with file and line"]) > 20


@pytest.mark.soak
def test_ten_thousand_mutated_files(directories):
    def peak() -> int:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    count(directories, range(200))
    before = peak()
    outcomes = count(directories, range(200, 10_200))
    more = (peak() - before) / 1024
    print(f"{outcomes.total()} mutated files: {dict(outcomes)}; {more:.0f} MiB more at the peak")
    assert more < 200
