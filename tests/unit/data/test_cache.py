"""Tokenised rows are found again by what they were made from, or made anew."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import datasets
import pytest
from transformers import PreTrainedTokenizerFast

from tartan.data import tokenize, train_tokenizer
from tartan.data.arrow import batches_of, cache_directory, in_batches, spool
from tartan.data.cache import caching
from tartan.errors import DataError

TEXTS = ["one two three", "four five", "three"]


@pytest.fixture
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer(["one two three four five"], 200)


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many texts were tokenised at each call."""
    calls: list[int] = []
    original = PreTrainedTokenizerFast.__call__

    def counting(self, texts, *more, **options):
        calls.append(len(texts))
        return original(self, texts, *more, **options)

    monkeypatch.setattr(PreTrainedTokenizerFast, "__call__", counting)
    return calls


def dataset(texts=TEXTS, **more):
    return datasets.Dataset.from_dict({"text": list(texts), **more})


def entries() -> list[Path]:
    return sorted(cache_directory().glob("*"))


def test_the_same_texts_are_tokenised_once(tokenizer, encoded):
    first = tokenize(dataset(), tokenizer, 4)
    taken = len(encoded)
    again = tokenize(dataset(), tokenizer, 4)
    assert len(encoded) == taken > 0
    assert again.rows[:] == first.rows[:]
    assert (again.truncated, again.lost_words) == (first.truncated, first.lost_words) == (1, 0)
    assert [file["filename"] for file in again.rows.cache_files] == [
        str(entries()[0] / "rows.arrow")
    ], "memory-mapped from the cache"


def test_whatever_the_rows_depend_on_makes_another_entry(tokenizer):
    other = train_tokenizer(["one two three four five six"], 200)
    sided = train_tokenizer(["one two three four five"], 200)
    sided.truncation_side = "left"
    tokenize(dataset(), tokenizer, 8)
    tokenize(dataset(), tokenizer, 4)
    tokenize(dataset(["one two three", "four", "five three"]), tokenizer, 8)
    tokenize(dataset(label=[0, 1, 0]), tokenizer, 8)
    tokenize(dataset(label=[1, 0, 0]), tokenizer, 8)
    tokenize(dataset(), other, 8)
    tokenize(dataset(), sided, 8)
    pair = dataset(text_pair=TEXTS)
    tokenize(pair, tokenizer, 8)
    tokenize(pair, tokenizer, 8, segments=True)
    assert len(entries()) == 9


def test_a_tokenizer_that_was_used_otherwise_meanwhile_finds_its_rows(tokenizer, encoded):
    tokenize(dataset(), tokenizer, 8)
    tokenizer(TEXTS, truncation=True, max_length=3, padding=True)
    taken = len(encoded)
    tokenize(dataset(), tokenizer, 8)
    assert len(encoded) == taken


@pytest.mark.parametrize("name", ["rows.arrow", "entry.json"])
@pytest.mark.parametrize("damage", ["cut", "changed", "emptied", "removed"])
def test_a_damaged_entry_is_made_anew_and_said(tokenizer, name, damage):
    whole = tokenize(dataset(), tokenizer, 8)
    expected = whole.rows[:]
    assert whole.damaged is None
    path = entries()[0] / name
    content = path.read_bytes()
    path.unlink()
    if damage != "removed":
        changed = content[: len(content) // 2] + b"?" + content[len(content) // 2 + 1 :]
        path.write_bytes({"cut": content[:-9], "changed": changed, "emptied": b""}[damage])
    again = tokenize(dataset(), tokenizer, 8)
    assert again.rows[:] == expected
    assert again.damaged == entries()[0]
    assert tokenize(dataset(), tokenizer, 8).damaged is None
    assert len(entries()) == 1, "nothing else is left"


def test_without_the_cache_nothing_is_left_of_the_rows(tokenizer, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    with caching(False):
        tokenized = tokenize(dataset(), tokenizer, 4)
    assert tokenized.truncated == 1
    assert tokenized.rows.num_rows == 3
    assert entries() == []
    assert list((tmp_path / "tmp").iterdir()) == []
    assert datasets.is_caching_enabled()


def test_a_cache_that_cannot_be_written_is_one_line(tokenizer, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "file")
    with pytest.raises(DataError) as caught:
        tokenize(dataset(), tokenizer, 4)
    assert str(caught.value) == (
        f"{tmp_path}/file/tartan: rows cannot be written there (Not a directory): make room, or "
        "set HF_DATASETS_CACHE, or with cache=false TMPDIR, to another directory"
    )


CHILD = textwrap.dedent("""
    import sys, datasets
    from tartan.data import tokenize, train_tokenizer
    texts = [f"one two {n}" for n in range(int(sys.argv[1]))]
    print("ready", flush=True)
    sys.stdin.readline()
    rows = tokenize(datasets.Dataset.from_dict({"text": texts}), train_tokenizer(texts[:9], 99), 8)
    print(rows.rows.num_rows, flush=True)
""")


def child(rows: int, cache: Path) -> "subprocess.Popen[str]":
    started = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(rows)], text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "HF_DATASETS_CACHE": str(cache)},
    )  # fmt: skip
    assert started.stdout
    assert started.stdout.readline() == "ready\n"
    return started


def test_processes_that_write_an_entry_at_once_leave_one_that_is_whole(tmp_path):
    racing = [child(2000, tmp_path) for _ in range(2)]
    for process in racing:
        process.stdin.write("\n")
        process.stdin.flush()
    for process in racing:
        out, err = process.communicate(timeout=120)
        assert (out, err) == ("2000\n", "")
    assert [path.name[0] for path in (tmp_path / "tartan").iterdir()] != ["."]
    assert len(list((tmp_path / "tartan").iterdir())) == 1


def test_a_process_that_is_killed_leaves_no_entry(tmp_path):
    process = child(10**6, tmp_path)
    process.stdin.write("\n")
    process.stdin.flush()
    while not list((tmp_path / "tartan").glob(".partial-*/new/rows.arrow")):
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert [path.name for path in (tmp_path / "tartan").iterdir() if path.name[0] != "."] == []


def test_what_a_killed_process_left_is_swept_up_a_day_later(tokenizer):
    left, busy = (cache_directory() / f".partial-{name}" for name in "ab")
    for path in (left, busy):
        (path / "new").mkdir(parents=True)
    os.utime(left, (0, 0))
    tokenize(dataset(), tokenizer, 8)
    assert (left.exists(), busy.exists()) == (False, True)


def test_rows_are_gone_with_the_process_even_if_it_is_killed(tmp_path):
    script = """
import os, signal
from datasets import Features, Value
from tartan.data.arrow import spool
rows = spool([{"text": ["one", "two"]}], Features({"text": Value("string")}))
assert rows["text"][:] == ["one", "two"]
os.kill(os.getpid(), signal.SIGKILL)
"""
    env = {**os.environ, "HF_DATASETS_CACHE": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", script], env=env, check=False)
    assert done.returncode == -signal.SIGKILL
    assert list((tmp_path / "tartan").iterdir()) == []


def test_batches_are_small_where_rows_are_long():
    rows = [{"text": "x" * 100_000}] * 5 + [{"text": "y"}] * 2500
    batches = list(in_batches(rows))
    assert [len(batch["text"]) for batch in batches] == [3, 1000, 1000, 502]
    features = datasets.Features({"text": datasets.Value("string")})
    stored = spool(batches, features)
    again = list(batches_of(stored))
    assert [text for batch in again for text in batch["text"]] == [row["text"] for row in rows]
    assert max(sum(map(len, batch["text"])) for batch in again) < 2**19
