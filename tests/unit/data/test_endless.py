import json
import tracemalloc
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import datasets
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tartan.data import HubOptions, Stream, load_task
from tartan.data.digests import digest
from tartan.data.endless import Blocks, EndlessRows, Streamed
from tartan.data.files import FilesOptions
from tartan.data.reader import Reader
from tartan.data.text_source import open_stream, text_sources
from tartan.data.token_stream import TokenStream
from tartan.data.vocabulary import train_tokenizer
from tartan.errors import ConfigError, DataError
from tartan.mixture import Mixture


@dataclass
class Counting:
    """A shard that counts the rows that are read of it, and how many are skipped each time."""

    rows: Sequence[Sequence[str]]
    read: int = 0
    skipped: list[int] = field(default_factory=list)

    def texts(self, skip: int) -> Iterator[Sequence[str]]:
        self.skipped.append(skip)
        for row in self.rows[skip:]:
            self.read += 1
            yield row

    def described(self):
        return [len(self.rows)]


def shards(*sizes: int) -> list[Counting]:
    names = count()
    return [Counting([[f"text {next(names)}"] for _ in range(size)]) for size in sizes]


def blocks(parts, buffer, held_out=frozenset(), seed=0, name="mlm") -> Blocks:
    return Blocks(Streamed(parts, buffer, held_out), seed, name)


@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=4), buffer=st.integers(1, 20))
def test_each_turn_holds_every_text_exactly_once(sizes, buffer):
    total, reads = sum(sizes), blocks(shards(*sizes), buffer)
    for turn in range(3):
        texts = reads.texts(range(turn * total, (turn + 1) * total))
        assert sorted(texts) == sorted(f"text {n}" for n in range(total))


@given(places=st.lists(st.integers(0, 60), min_size=1, max_size=8), buffer=st.integers(1, 12))
def test_a_text_is_a_function_of_its_position(places, buffer):
    used = blocks(shards(5, 7, 4), buffer)
    for place in places:
        assert used.texts([place]) == blocks(shards(5, 7, 4), buffer).texts([place])


def test_turns_seeds_and_objectives_have_orders_of_their_own():
    def order(seed, name, turn):
        return tuple(blocks(shards(50), 50, seed=seed, name=name).texts(range(turn, turn + 50)))

    assert len({order(0, "mlm", 0), order(0, "mlm", 50), order(1, "mlm", 0), order(0, "x", 0)}) == 4


def test_only_the_buffer_is_read_before_the_first_batch():
    (part,) = parts = shards(100_000)
    stream = blocks(parts, 64)
    assert set(stream.texts(range(16))) <= {f"text {n}" for n in range(64)}
    assert part.read == 64
    stream.texts(range(16, 65))
    assert part.read == 128, "the next block, from where the file is open"
    assert part.skipped == [0]


@given(reached=st.integers(0, 70), buffer=st.integers(1, 12))
def test_a_stream_that_resumes_gives_the_same_texts_from_its_block_on(reached, buffer):
    first = blocks(shards(5, 7, 4), buffer)
    first.texts(range(reached + 1))
    parts = shards(5, 7, 4)
    resumed = blocks(parts, buffer)
    resumed.marks = list(first.marks)
    assert resumed.texts(range(reached, reached + 30)) == first.texts(range(reached, reached + 30))


def test_a_stream_that_resumes_reads_no_row_before_its_block():
    first = blocks(shards(1000, 1000), 100)
    first.texts([1730])
    parts = shards(1000, 1000)
    resumed = blocks(parts, 100)
    resumed.marks = list(first.marks)
    assert resumed.texts([1730]) == first.texts([1730])
    assert sorted(part.skipped for part in parts) == [[], [700]]
    assert sum(part.read for part in parts) == 100


def test_texts_of_dev_and_test_and_blank_rows_are_left_out():
    parts = [Counting([["one"], [], ["held out"], ["two", "three"]])]
    reads = blocks(parts, 2, {digest("held  out")})
    assert sorted(reads.texts(range(3))) == ["one", "three", "two"]
    assert sorted(reads.texts(range(3, 6))) == ["one", "three", "two"]
    none = blocks([Counting([["held out"], []])], 2, {digest("held out")})
    with pytest.raises(DataError, match=r"^objective 'mlm' reads a stream without a text: all are"):
        none.texts([0])


def test_memory_does_not_grow_with_the_corpus():
    class Long:
        def texts(self, skip: int) -> Iterator[Sequence[str]]:
            return ([f"{number:0500d}"] for number in range(skip, 1_000_000))

        def described(self):
            return []

    reads = blocks([Long()], 100)
    tracemalloc.start()
    for place in range(0, 6_000, 100):
        reads.texts(range(place, place + 100))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 20 * 100 * 550, "twenty buffers; 60 went by"


def test_a_block_of_long_texts_ends_before_the_buffer_is_full(monkeypatch):
    monkeypatch.setattr("tartan.data.endless.CHARACTERS", 20)
    (part,) = parts = [Counting([["seven c"]] * 100)]
    blocks(parts, 50).texts([0])
    assert part.read == 3


def endless(parts, long="truncate", buffer=8) -> EndlessRows:
    texts = [f"w{n}" for n in range(100)]
    tokenizer = train_tokenizer(texts, 400)
    return EndlessRows(
        Streamed(parts, buffer, frozenset()), Reader(tokenizer, 8, False, long), 0, "m"
    )


def test_batches_follow_the_order_of_the_rows():
    parts = shards(20)
    stream, rows = Stream(endless(parts), 4, 0, "m"), endless(parts)
    assert stream.indices(2) == [8, 9, 10, 11]
    assert stream.rows(2) == rows[8:12] == [rows[8], rows[9], rows[10], rows[11]]
    assert stream.delayed(1).rows(3) == stream.rows(2)
    saved = stream.state_dict()
    again = Stream(endless(parts), 4, 0, "m")
    again.load_state_dict(saved)
    assert again.rows(2) == stream.rows(2)
    assert again.state_dict().tolist() == saved.tolist()
    with pytest.raises(ValueError, match="shape"):
        again.load_state_dict(saved[:, :2])


def test_of_a_text_in_chunks_one_is_read_at_random():
    words = [f"w{n}" for n in range(40)]
    rows = endless([Counting([[" ".join(words)]])], "chunks")
    read = [tuple(row["input_ids"]) for row in rows[:30]]
    assert all(len(ids) <= 8 for ids in read)
    assert 4 < len(set(read)) <= 8
    assert read == [tuple(row["input_ids"]) for row in rows[:30]]


def test_what_needs_the_number_of_texts_is_refused():
    rows = endless(shards(20))
    for use in (
        lambda: Mixture([rows, rows], 1),
        lambda: TokenStream(rows, 64, 0, "m"),
        lambda: list(rows),
    ):
        with pytest.raises(ConfigError, match=r"^objectives\.m reads a streamed corpus, whose"):
            use()


def write(directory: Path, parts: Sequence[Sequence[str]]) -> Path:
    directory.mkdir()
    for number, texts in enumerate(parts):
        lines = [json.dumps({"n": 1, "text": text}) for text in texts]
        (directory / f"train-{number}.jsonl").write_text("\n".join(lines) + "\n")
    return directory


TEXTS = [[f"s{shard} r{row}" for row in range(5)] for shard in range(3)]


def save(directory: Path, how: str) -> Path:
    """The texts as a data set; as `datasets` streams it, a directory saved to disk is one shard."""
    rows = datasets.Dataset.from_dict({"text": [text for part in TEXTS for text in part]})
    datasets.disable_progress_bars()
    if how == "disk":
        rows.save_to_disk(directory)
    else:
        directory.mkdir()
        rows.to_parquet(directory / "train.parquet")
    datasets.enable_progress_bars()
    return directory


@pytest.mark.parametrize("how", ["jsonl", "parquet", "disk"])
def test_shards_of_a_data_set_are_read_from_any_row_on(how, tmp_path: Path):
    place = write(tmp_path / "set", TEXTS) if how == "jsonl" else save(tmp_path / "set", how)
    found = open_stream(text_sources({"hub": str(place)}, "data.domain"), "data.domain", {})
    assert len(found) == (3 if how == "jsonl" else 1)
    read = [[text for row in shard.texts(2) for text in row] for shard in found]
    whole = TEXTS if how == "jsonl" else [[text for part in TEXTS for text in part]]
    assert read == [part[2:] for part in whole]


def test_a_shard_without_declared_columns_is_read_from_behind_its_last_row(tmp_path: Path):
    """As a run resumes whose block ended there."""
    (tmp_path / "train.csv").write_text("text,label\none,a\ntwo,b\n")
    (shard,) = open_stream(text_sources({"hub": str(tmp_path)}, "data.domain"), "data.domain", {})
    assert [list(shard.texts(skip)) for skip in (0, 1, 2)] == [[["one"], ["two"]], [["two"]], []]


def test_files_directories_and_data_sets_are_one_stream(tmp_path: Path):
    (tmp_path / "more.txt").write_text("a line\n\nanother\n")
    given = [str(tmp_path / "more.txt"), {"hub": str(write(tmp_path / "set", TEXTS))}]
    parts = open_stream(text_sources(given, "data.domain"), "data.domain", {})
    assert len(parts) == 4
    assert Counter(blocks(parts, 5).texts(range(17))) == Counter(
        ["a line", "another", *(text for part in TEXTS for text in part)]
    )


def rows_file(directory: Path) -> Path:
    path = directory / "rows.csv"
    lines = [f"text {label} {n},{label}" for n in range(20) for label in ("a", "b")]
    path.write_text("\n".join(["text,label", *lines]) + "\n")
    return path


def test_a_task_knows_its_stream_by_the_names_and_sizes_of_files(tmp_path: Path):
    path, place = rows_file(tmp_path), write(tmp_path / "set", TEXTS)

    def task(**options):
        return load_task("files", FilesOptions(path=str(path), stream=True, **options))

    one = task(domain=str(place), buffer=7)
    assert "domain" not in one.corpora
    assert (len(one.streamed["domain"].shards), one.streamed["domain"].buffer) == (3, 7)
    assert one.streamed["domain"].held_out == {
        digest(text) for split in (one.dev, one.test) for text in split["text"]
    }
    with (place / "train-1.jsonl").open("a") as file:
        file.write('{"n": 1, "text": "longer"}\n')
    assert task(domain=str(place)).hashes["domain"] != one.hashes["domain"]
    assert task(domain={"hub": str(place)}).hashes["domain"] != one.hashes["domain"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stream": True}, "data.stream=true reads the domain corpus as a stream, and there is"),
        ({"stream": True, "buffer": 0, "domain": "x"}, "data.buffer must be at least 1, got 0."),
        ({"stream": True, "domain": {"hub": "SET", "split": "trian"}},
            "data.domain.split=trian: SET has no such split: did you mean 'train'?"),
        ({"stream": True, "domain": {"hub": "./none"}}, "data.domain: ./none cannot be streamed ("),
        ({"stream": True, "domain": "notes.docx"}, "notes.docx: '.docx' is not a known format"),
        ({"domain": {"hub": "./none"}}, "./none: no such directory: set data.domain.hub to"),
    ],
)  # fmt: skip
def test_streams_that_cannot_be_opened_are_one_line(options, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    write(tmp_path / "SET", TEXTS)
    (tmp_path / "notes.docx").write_text("x")
    with pytest.raises((ConfigError, DataError)) as caught:
        load_task("files", FilesOptions(path=str(rows_file(tmp_path)), **options))
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_data_set_of_the_hub_may_have_a_domain_corpus_of_any_source(dictionary, tmp_path: Path):
    datasets.disable_progress_bars()
    dictionary.save_to_disk(tmp_path / "pets")
    datasets.enable_progress_bars()
    place = write(tmp_path / "set", TEXTS)
    options = HubOptions(
        name=str(tmp_path / "pets"),
        unlabelled={"path": str(place / "train-0.jsonl")},
        domain={"hub": str(place)},
    )
    task = load_task("hub", options)
    assert task.corpora["domain"]["text"][:] == [text for part in TEXTS for text in part]
    assert task.corpora["task"]["text"][3:] == TEXTS[0]
    options.stream = True
    assert len(load_task("hub", options).streamed["domain"].shards) == 3
