"""What is read takes up no memory, however much it is."""

import json
import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

pytestmark = pytest.mark.heavy

MEGABYTE = 2**20
WORDS = [f"{word}withmanyletters" for word in ("one", "two", "three", "four", "five", "six")]

READ = """
import json, re, sys, threading
from pathlib import Path
from tartan.data import JsonlOptions, Stream, load_task, tokenize, train_tokenizer

def resident():  # pages that the system cannot take back
    return int(re.search(r"RssAnon:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024

def watch():
    while not done.wait(0.01):
        peak.append(max(peak.pop(), resident()))

def read(directory):
    task = load_task("jsonl", JsonlOptions(dir=directory))
    rows = tokenize(task.corpora["domain"], tokenizer, 64).rows
    again = tokenize(task.corpora["domain"], tokenizer, 64).rows
    stream = Stream(rows, 32, 0, "dapt")
    for index in range(50):
        stream.rows(index)
    return len(rows), len(task.train)

tokenizer = train_tokenizer(json.loads(sys.argv[1]), 100)
read(sys.argv[2])  # what libraries keep once they have been used
before, done = resident(), threading.Event()
peak = [before]
watching = threading.Thread(target=watch)
watching.start()
rows = read(sys.argv[3])
done.set()
watching.join()
print(json.dumps([rows, peak[0] - before]))
"""


def write(directory: Path, size: int) -> Path:
    """A task whose domain.txt and train.jsonl have about a size in bytes, together."""
    random = Random(0)
    directory.mkdir()

    def text() -> str:
        return " ".join(random.choices(WORDS, k=random.randint(5, 30)))

    for split, share in (("train", size // 4), ("dev", 2000), ("test", 2000)):
        with (directory / f"{split}.jsonl").open("w") as file:
            number = 0
            while file.tell() < share:
                row = {"text": f"{split} {number} {text()}", "label": "ab"[number % 2]}
                file.write(json.dumps(row) + "\n")
                number += 1
    with (directory / "domain.txt").open("w") as file:
        while file.tell() < 3 * size // 4:
            file.write(text() + "\n")
    return directory


def growth(tmp_path: Path, size: int) -> int:
    """Bytes at the peak of reading that much, beyond those of reading little."""
    small, large = write(tmp_path / "small", MEGABYTE), write(tmp_path / "large", size)
    done = subprocess.run(
        [sys.executable, "-c", READ, json.dumps(WORDS), str(small), str(large)],
        env={**os.environ, "HF_DATASETS_CACHE": str(tmp_path / "cache")},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    (rows, train), more = json.loads(done.stdout)
    assert rows > size // 1000
    assert train > size // 2500
    return int(more)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not say")
def test_a_corpus_is_read_tokenised_and_served_in_a_fraction_of_its_size(tmp_path):
    assert growth(tmp_path, 16 * MEGABYTE) < 8 * MEGABYTE


@pytest.mark.soak
def test_a_large_corpus_takes_up_no_more_than_a_small_one(tmp_path):
    more = growth(tmp_path, 200 * MEGABYTE)
    print(f"200 MiB read with {more / MEGABYTE:.1f} MiB more at the peak")
    assert more < 20 * MEGABYTE
