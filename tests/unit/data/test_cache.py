"""Tokenised rows are found again by what they were made from, or made anew."""

import errno
import fcntl
import os
import resource
import shutil
import signal
import tempfile
from pathlib import Path

import datasets
import pytest
from transformers import PreTrainedTokenizerFast

from support.process import apart
from tartan.data import tokenize, train_tokenizer
from tartan.data.arrow import batches_of, cache_directory, in_batches, spool
from tartan.data.cache import caching, remove_abandoned
from tartan.errors import DataError

pytestmark = pytest.mark.heavy

TEXTS = ["one two three", "four five", "three"]
FEATURES = datasets.Features({"text": datasets.Value("string")})


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
    assert (
        (again.counts.truncated, again.counts.lost_words)
        == (first.counts.truncated, first.counts.lost_words)
        == (1, 0)
    )
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
def test_a_damaged_entry_is_made_again_and_reported(tokenizer, name, damage):
    whole = tokenize(dataset(), tokenizer, 8)
    expected = whole.rows[:]
    assert whole.notice is None
    path = entries()[0] / name
    content = path.read_bytes()
    path.unlink()
    if damage != "removed":
        changed = content[: len(content) // 2] + b"?" + content[len(content) // 2 + 1 :]
        path.write_bytes({"cut": content[:-9], "changed": changed, "emptied": b""}[damage])
    again = tokenize(dataset(), tokenizer, 8)
    assert again.rows[:] == expected
    assert again.notice == f"{entries()[0]} was damaged and was made again."
    assert tokenize(dataset(), tokenizer, 8).notice is None
    assert len(entries()) == 1, "nothing else is left"


def test_without_the_cache_nothing_is_left_of_the_rows(tokenizer, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    with caching(False):
        tokenized = tokenize(dataset(), tokenizer, 4)
    assert tokenized.counts.truncated == 1
    assert tokenized.rows.num_rows == 3
    assert entries() == []
    assert list((tmp_path / "tmp").iterdir()) == []
    assert datasets.is_caching_enabled()


def test_a_cache_that_cannot_be_used_is_passed_by(tokenizer, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "file")
    tokenized = tokenize(dataset(), tokenizer, 4)
    assert tokenized.notice == (
        f"The cache {tmp_path}/file/tartan cannot be used (Not a directory). Rows are tokenised "
        "without it; set HF_DATASETS_CACHE to a directory of your own, or cache=false."
    )
    assert len(tokenized.rows) == 3
    assert remove_abandoned() == []


def test_rows_that_cannot_be_written_anywhere_are_one_line(tmp_path):
    def spool_rows() -> None:
        datasets.config.HF_DATASETS_CACHE = tmp_path / "cache"
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
        batches = ({"text": ["x" * 1000]} for n in range(100))
        try:
            spool(batches, FEATURES)
        except DataError as error:
            print(error)

    assert apart(spool_rows, tmp_path / "said").out == (
        f"{tmp_path}/cache/tartan: rows cannot be written there (File too large): make room, "
        "or set HF_DATASETS_CACHE, or with cache=false TMPDIR, to another directory\n"
    )
    assert list((tmp_path / "cache/tartan").iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("case", ["shared", "private", "new", "damaged"])
def test_a_cache_of_another_user_is_shared_or_passed_by(tokenizer, case, tmp_path):
    """Its entries are read where its modes allow that; it is never in the way."""
    root = Path("/var/tmp") / f"tartan-test-{os.getpid()}-{case}"
    cache = root / "tartan"
    try:
        cache.mkdir(parents=True)
        for directory in (root, cache):
            directory.chmod(0o755)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(datasets.config, "HF_DATASETS_CACHE", root)
            if case != "new":
                tokenize(dataset(), tokenizer, 4)
        (entry,) = cache.iterdir() if case != "new" else (cache,)
        if case == "private":
            entry.chmod(0o700)
        if case == "damaged":
            (entry / "rows.arrow").write_bytes(b"damaged")

        def tokenize_as_another() -> None:
            tempfile.tempdir = "/tmp"
            datasets.config.HF_DATASETS_CACHE = root
            os.setgid(54321)
            os.setuid(54321)
            found = tokenize(dataset(), tokenizer, 4)
            print(len(found.rows), found.notice)

        done = apart(tokenize_as_another, tmp_path / "said")
        notice = (
            "None"
            if case == "shared"
            else f"The cache {cache} cannot be used (Permission denied). Rows are tokenised "
            "without it; set HF_DATASETS_CACHE to a directory of your own, or cache=false."
        )
        assert (done.out, done.err) == (f"3 {notice}\n", "")
    finally:
        shutil.rmtree(root)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_serves_as_cache(tokenizer, monkeypatch, number):
    def flock(file: object, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    assert tokenize(dataset(), tokenizer, 4).notice is None
    assert len(entries()) == 1
    left = cache_directory() / ".tartan-left"
    left.mkdir()
    (left / "lock").touch()
    assert remove_abandoned() == []
    os.utime(left, (0, 0))
    assert len(remove_abandoned()) == 1


def writer(rows: int, cache: Path) -> int:
    """Start a process that tokenises rows; return its number."""
    process = os.fork()
    if process == 0:
        try:
            datasets.config.HF_DATASETS_CACHE = cache
            texts = [f"one two {n}" for n in range(rows)]
            found = tokenize(dataset(texts), train_tokenizer(texts[:9], 99), 8)
            os._exit(0 if found.rows.num_rows == rows and found.notice is None else 1)
        finally:
            os._exit(2)
    return process


def test_processes_that_write_an_entry_at_once_leave_one_that_is_whole(tmp_path):
    racing = [writer(2000, tmp_path) for _ in range(2)]
    assert [os.waitpid(process, 0)[1] for process in racing] == [0, 0]
    assert [path.name[0] for path in (tmp_path / "tartan").iterdir()] != ["."]
    assert len(list((tmp_path / "tartan").iterdir())) == 1


def test_what_a_killed_process_left_unfinished_is_removed_by_the_next(tmp_path, monkeypatch):
    process = writer(10**6, tmp_path)
    while not list((tmp_path / "tartan").glob(".tartan-*/new/rows.arrow")):
        assert os.waitpid(process, os.WNOHANG) == (0, 0)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    assert remove_abandoned() == [], "its process lives"
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    assert remove_abandoned() == [
        f"Removed 1 unfinished file of runs that were killed, in {tmp_path}/tartan."
    ]
    assert list((tmp_path / "tartan").iterdir()) == []
    assert remove_abandoned() == []


def test_files_of_the_former_version_are_removed_after_a_day():
    cache_directory().mkdir(parents=True)
    for name in ("a", "b"):
        (cache_directory() / f".partial-{name}").mkdir()
        (cache_directory() / f".rows-{name}").write_text("texts")
    for name in (".partial-a", ".rows-a"):
        os.utime(cache_directory() / name, (0, 0))
    assert remove_abandoned() == [
        f"Removed 2 unfinished files of runs that were killed, in {cache_directory()}."
    ]
    assert sorted(path.name for path in entries()) == [".partial-b", ".rows-b"]


@pytest.mark.parametrize("cache", [True, False])
def test_a_process_that_is_killed_while_it_reads_leaves_no_text(tmp_path, cache):
    def batches():
        for _ in range(100):
            yield {"text": ["secret" * 10_000]}
        os.kill(os.getpid(), signal.SIGKILL)

    def spool_and_die() -> None:
        tempfile.tempdir = str(tmp_path)
        datasets.config.HF_DATASETS_CACHE = tmp_path / "cache"
        if not cache:
            datasets.disable_caching()
        spool(batches(), FEATURES)

    said = tmp_path / "said"
    assert apart(spool_and_die, said).status == -signal.SIGKILL
    shutil.rmtree(said)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_rows_are_gone_with_the_process_even_if_it_is_killed(tmp_path):
    def spool_and_die() -> None:
        datasets.config.HF_DATASETS_CACHE = tmp_path / "cache"
        rows = spool([{"text": ["one", "two"]}], FEATURES)
        assert rows["text"][:] == ["one", "two"]
        os.kill(os.getpid(), signal.SIGKILL)

    assert apart(spool_and_die, tmp_path / "said").status == -signal.SIGKILL
    assert list((tmp_path / "cache/tartan").iterdir()) == []


def test_batches_are_small_where_rows_are_long():
    rows = [{"text": "x" * 100_000}] * 5 + [{"text": "y"}] * 2500
    batches = list(in_batches(rows))
    assert [len(batch["text"]) for batch in batches] == [3, 1000, 1000, 502]
    features = datasets.Features({"text": datasets.Value("string")})
    stored = spool(batches, features)
    again = list(batches_of(stored))
    assert [text for batch in again for text in batch["text"]] == [row["text"] for row in rows]
    assert max(sum(map(len, batch["text"])) for batch in again) < 2**19
