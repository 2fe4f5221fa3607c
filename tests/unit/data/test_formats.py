"""Files of rows: formats, compressions and columns."""

import bz2
import gzip
import json
import lzma
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path

import datasets
import pyarrow
import pytest
from pyarrow import feather, ipc, parquet

from support.csv_files import load
from tartan.batch import LabelKind
from tartan.data.column_names import find_columns, find_text
from tartan.data.formats import open_shard, open_table, stem
from tartan.errors import ConfigError, DataError

ROWS = [{"text": 'a "red"\nline', "label": "007"}, {"text": "größer", "label": "NA"}]


def zstd(data: bytes) -> bytes:
    sink = pyarrow.BufferOutputStream()
    with pyarrow.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return sink.getvalue().to_pybytes()


PACKED: Mapping[str, Callable[[bytes], bytes]] = {
    "": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zst": zstd,
}  # fmt: skip


def separated(separator: str) -> bytes:
    def cell(text: str) -> str:
        return '"' + text.replace('"', '""') + '"'

    lines = [separator.join(ROWS[0])]
    lines += [separator.join(cell(value) for value in row.values()) for row in ROWS]
    return ("\ufeff" + "\r\n".join(lines)).encode()


def columnar(write: Callable[[pyarrow.Table, pyarrow.BufferOutputStream], None]) -> bytes:
    sink = pyarrow.BufferOutputStream()
    write(pyarrow.Table.from_pylist(ROWS), sink)
    return sink.getvalue().to_pybytes()


def stream(table: pyarrow.Table, sink: pyarrow.BufferOutputStream) -> None:
    with ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)


FILES: Mapping[str, bytes] = {
    "csv": separated(","),
    "semicolons.csv": separated(";"),
    "tsv": separated("\t"),
    "jsonl": b"\n".join(json.dumps(row).encode() for row in ROWS),
    "json": json.dumps(ROWS).encode(),
    "parquet": columnar(parquet.write_table),
    "feather": columnar(feather.write_feather),
    "arrow": columnar(stream),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("packed", PACKED)
def test_rows_are_as_they_are_written(name: str, packed: str, tmp_path: Path):
    path = tmp_path / f"mine.{name}{packed}"
    path.write_bytes(PACKED[packed](FILES[name]))
    table = open_table([path])
    assert list(table.columns) == ["text", "label"]
    assert [dict(row.values) for row in table.rows(["text", "label"])] == ROWS
    assert [dict(row.values) for row in table.rows(["text", "label"])] == ROWS
    assert table.size() == 2


@pytest.mark.parametrize("kind", ["parquet", "feather", "arrow"])
def test_two_columns_with_one_name_are_refused(kind: str, tmp_path: Path):
    table = pyarrow.table([["x"], ["a"], ["y"]], names=["text", "label", "text"])
    path = tmp_path / f"mine.{kind}"
    if kind == "parquet":
        parquet.write_table(table, path)
    elif kind == "arrow":
        with pyarrow.OSFile(str(path), "wb") as sink:
            stream(table, sink)
    else:
        with ipc.new_file(str(path), table.schema) as writer:
            writer.write_table(table)
    with pytest.raises(DataError) as caught:
        open_table([path])
    assert str(caught.value) == f"{path}: the file has the column 'text' twice: rename one"


@pytest.mark.parametrize(
    ("kind", "written", "read"),
    [
        (LabelKind.CLASS, ["1.00", "2.00"], [1, 2]),
        (LabelKind.NUMBER, ["1.50", "-2.25"], [1.5, -2.25]),
    ],
)
def test_decimals_are_numbers_or_classes(kind: LabelKind, written, read, tmp_path: Path):
    path = tmp_path / "mine.parquet"
    labels = pyarrow.array(map(Decimal, written), pyarrow.decimal128(38, 2))
    parquet.write_table(pyarrow.table({"text": ["x", "y"], "label": labels}), path)
    task = load(path, kind, ("train",))
    found = task.train["label"][:]
    assert (found if kind is LabelKind.NUMBER else [int(task.labels[n]) for n in found]) == read


def test_a_date_that_python_has_not_is_one_line(tmp_path: Path):
    path = tmp_path / "mine.parquet"
    when = pyarrow.array([10**12]).cast(pyarrow.timestamp("s"))
    parquet.write_table(pyarrow.table({"text": ["x"], "when": when}), path)
    assert [row.values for row in open_table([path]).rows(["text"])] == [{"text": "x"}]
    with pytest.raises(DataError) as caught:
        list(open_table([path]).rows(["text", "when"]))
    assert str(caught.value) == (
        f"{path}: a date or time cannot be read (date value out of range): write it as a string"
    )


def test_a_later_file_without_the_columns_is_refused(tmp_path: Path):
    paths = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    parquet.write_table(pyarrow.table({"text": ["x"], "label": ["a"]}), paths[0])
    parquet.write_table(pyarrow.table({"sentence": ["y"], "class": ["a"]}), paths[1])
    with pytest.raises(DataError) as caught:
        list(open_table(paths).rows(["text", "label"]))
    assert str(caught.value) == (
        f"{paths[1]}: the file has no column 'text' or 'label', as a.parquet has: name its columns "
        "alike"
    )


def test_files_that_number_their_classes_in_two_ways_are_refused(tmp_path: Path):
    paths = [tmp_path / "a.parquet", tmp_path / "b.parquet", tmp_path / "c.parquet"]
    for path, classes in zip(paths, (["a", "b"], ["a", "b"], ["b", "a"]), strict=True):
        label = datasets.Features({"label": datasets.ClassLabel(names=classes)})
        datasets.Dataset.from_dict({"label": [0]}, features=label).to_parquet(path)
    assert len(list(open_table(paths[:2]).rows(["label"]))) == 2
    with pytest.raises(DataError) as caught:
        list(open_table(paths).rows(["label"]))
    assert str(caught.value) == (
        f"{paths[2]}: the classes of column 'label' have other numbers than in a.parquet: write "
        "both with the same list of classes"
    )


def test_lines_of_text_are_rows(tmp_path: Path):
    path = tmp_path / "mine.TXT.GZ"
    path.write_bytes(gzip.compress(b"one\n\ntwo\n"))
    found = [(row.values["text"], row.line) for row in open_table([path]).rows(["text"])]
    assert found == [("one", "mine.TXT.GZ:1"), ("two", "mine.TXT.GZ:3")]
    assert stem(path) == "mine"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.xlsx", b"PK", "{path}: '.xlsx' is not a known format (.csv .tsv .tab .json .jsonl "
            ".ndjson .parquet .pq .arrow .feather .txt; compressed: .gz .bz2 .xz .zst): save the "
            "sheet as CSV (UTF-8)"),
        ("README", b"", "{path}: 'README' is not a known format (.csv .tsv .tab .json .jsonl "
            ".ndjson .parquet .pq .arrow .feather .txt; compressed: .gz .bz2 .xz .zst): convert "
            "the file"),
        ("a.csv", b"", "{path}: the file is empty: fill it or remove it"),
        ("a.json", b" [ ]\n", "{path}: the file is empty: fill it or remove it"),
        ("a.jsonl", b"{}\n{}\n", "{path}: the rows have no fields: give every row a text"),
        ("a.csv.zst", b"text,label\n", "{path}: cannot be read (ZSTD decompress failed: Unknown "
            "frame descriptor): check the file"),
        ("a.csv", "text;label\nä;b\n".encode("utf-16"), "{path}:1: the file is UTF-16, not UTF-8: "
            "save the file as UTF-8 text"),
        ("a.arrow", b"text,label\n", "{path}: cannot be read as an Arrow file ("),
        ("a.parquet.gz", gzip.compress(b"text", mtime=0),
         "{path}: cannot be read as a Parquet file ("),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_one_line(name: str, content: bytes, message: str, tmp_path: Path):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        list(open_table([path]).rows(["text"]))
    assert str(caught.value).startswith(message.format(path=path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ("\n \r\ntext;label\nx, y;a\n", {4: {"text": "x, y", "label": "a"}}),
        ("text;label (a, b)\nx;a\n\ny;b", {
            2: {"text": "x", "label (a, b)": "a"}, 4: {"text": "y", "label (a, b)": "b"}}),
        ('; \ntext;label\n;\nx;a\n"\n"; \ny;b\n;\n', {
            4: {"text": "x", "label": "a"}, 7: {"text": "y", "label": "b"}}),
        ("id;label (a, b, c)\nx, y;a\n", {2: {"id": "x, y", "label (a, b, c)": "a"}}),
        ('"one; two, or; three",label\n"x; ""y""\nz",a\n', {
            2: {"one; two, or; three": 'x; "y"\nz', "label": "a"}}),
        ("\ufeffsep=;\r\ntext;a, b\r\nx,y;a\r\n", {3: {"text": "x,y", "a, b": "a"}}),
        ('"sep=\t"\ntext\tlabel\nx;y\ta\n', {3: {"text": "x;y", "label": "a"}}),
        ("SEP=:\ntext:label\nx;y:a", {3: {"text": "x;y", "label": "a"}}),
        ("text\nx; y\n", {2: {"text": "x; y"}}),
    ],
)  # fmt: skip
def test_the_separator_is_found_by_the_first_rows(content: str, rows, tmp_path: Path):
    path = tmp_path / "mine.csv"
    path.write_bytes(content.encode())
    table = open_table([path])
    found = list(table.rows(()))
    assert table.columns == list(found[0].values)
    assert {int(row.line.rpartition(":")[2]): row.values for row in found} == rows


def test_rows_of_other_sizes_name_the_lines_of_the_file(tmp_path: Path):
    for content, line, separator in (
        ("sep=|\ntext|label\nx|a\ny\n", 4, "|"), ("\ntext,label\nx, y,a\n", 3, ","),
    ):  # fmt: skip
        path = tmp_path / "mine.csv"
        path.write_text(content)
        with pytest.raises(DataError) as caught:
            list(open_table([path]).rows(()))
        assert str(caught.value).startswith(f"{path}:{line}: the row has ")
        assert str(caught.value).endswith(f"put cells that hold {separator!r} in double quotes")


@pytest.mark.parametrize("lines", [True, False])
def test_columns_of_json_are_the_fields_of_all_rows_of_all_files(lines: bool, tmp_path: Path):
    parts = [[{"text": "x"}, {"label": 1, "text": "y"}], [{"text": "z", "pair": "z"}]]
    paths = [tmp_path / "a.json", tmp_path / "b.json"]
    for path, rows in zip(paths, parts, strict=True):
        path.write_text("\n".join(map(json.dumps, rows)) if lines else json.dumps(rows))
    assert open_table(paths).columns == ["text", "label", "pair"]
    assert open_shard(paths[0]).columns == ["text"]  # which reads no further
    assert [row.values for row in open_table(paths).rows(())] == [*parts[0], *parts[1]]


def test_each_file_has_its_own_separator(tmp_path: Path):
    paths = [tmp_path / "a.csv", tmp_path / "b.csv.gz"]
    paths[0].write_text("text,label\nx;y,a\n")
    paths[1].write_bytes(gzip.compress(b"label;text\nb;x,y\n"))
    assert [row.values for row in open_table(paths).rows(())] == [
        {"text": "x;y", "label": "a"}, {"text": "x,y", "label": "b"},
    ]  # fmt: skip


def table_of(tmp_path: Path, header: str, *rows: str):
    path = tmp_path / "mine.csv"
    path.write_text("\n".join([header, *rows]))
    return open_table([path])


@pytest.mark.parametrize(
    ("header", "kind", "expected"),
    [
        ("id,Review-Text?,Sentiment,text", LabelKind.CLASS, {"text": "text", "label": "Sentiment"}),
        ("ID, Comment ,CLASS", LabelKind.CLASS, {"text": " Comment ", "label": "CLASS"}),
        ("premise,hypothesis,label", LabelKind.CLASS,
            {"text": "premise", "pair": "hypothesis", "label": "label"}),
        ("sentence1,sentence2,score,label2", LabelKind.NUMBER,
            {"text": "sentence1", "pair": "sentence2", "label": "score"}),
        ("id,words,ner_tags", LabelKind.TAGS, {"tokens": "words", "tags": "ner_tags"}),
    ],
)  # fmt: skip
def test_columns_are_found_by_their_usual_names(header, kind, expected, tmp_path: Path):
    assert find_columns(table_of(tmp_path, header), {}, kind, "mine.csv") == expected


def test_given_columns_come_first(tmp_path: Path):
    table = table_of(tmp_path, "text,title,label,y,premise,hypothesis")
    given = {"text": "title", "label": "y", "pair": None}
    assert find_columns(table, given, LabelKind.CLASS, "f") == {"text": "title", "label": "y"}
    given = {"text": None, "label": None, "pair": "title"}
    assert find_columns(table, given, LabelKind.CLASS, "f") == {
        "pair": "title", "text": "text", "label": "label",
    }  # fmt: skip
    assert find_text(table, {"text": "y"}, "f") == {"text": "y"}


def test_a_column_that_is_not_there_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError) as caught:
        find_columns(table_of(tmp_path, "text,label"), {"text": "txt"}, LabelKind.CLASS, "f.csv")
    assert str(caught.value) == ("data.text=txt: no such column in f.csv: did you mean 'text'?")


def test_one_column_is_not_two_things(tmp_path: Path):
    table = table_of(tmp_path, "premise,hypothesis,y")
    for given, shown in (
        ({"text": "premise", "pair": "premise"}, "data.text=premise data.pair=premise"),
        ({"text": "y", "label": "y"}, "data.text=y data.label=y"),
    ):
        with pytest.raises(ConfigError) as caught:
            find_columns(table, given, LabelKind.CLASS, "f.csv")
        assert str(caught.value) == f"{shown}: one column is given twice: name two columns"
    with pytest.raises(DataError, match="no text"):  # the label is half of no pair
        find_columns(table, {"label": "premise"}, LabelKind.CLASS, "f.csv")


def test_unusual_names_are_refused_with_what_to_type(tmp_path: Path):
    table = table_of(
        tmp_path, "nr,Anliegen des Kunden,Ablage", "1,Wo ist mein Paket?,lager", "2,Geld her,kasse"
        "\n3,Bitte meldet euch,lager"
    )  # fmt: skip
    with pytest.raises(DataError) as caught:
        find_columns(table, {}, LabelKind.CLASS, "f.csv")
    assert str(caught.value) == (
        "f.csv: no text (text, sentence, content, review, ...) and no label (label, class, "
        "category, target, ...) among the columns 'nr', 'Anliegen des Kunden', 'Ablage': name the "
        "columns, for example 'data.text=\"Anliegen des Kunden\"' data.label=Ablage"
    )
