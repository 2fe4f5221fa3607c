"""Lines of text files, whatever is in them and wherever they are."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tartan.data.lines import LONGEST, read_lines, read_passages
from tartan.errors import DataError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "domain.txt"


def read(path: Path, content: bytes) -> list[str]:
    path.write_bytes(content)
    return list(read_passages(path))


def error(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        list(read_lines(path))
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(path))
    return message.removeprefix(str(path))


LINES = st.lists(
    st.text(st.characters(exclude_characters="\n\r\0\ufeff", codec="utf-8")).map(str.strip),
    max_size=20,
)


@given(lines=LINES, end=st.sampled_from(["\n", "\r\n", "\n\n", " \t\n"]), mark=st.booleans())
def test_what_is_written_a_line_each_is_read_with_its_line(tmp_path_factory, lines, end, mark):
    path = tmp_path_factory.getbasetemp() / "lines.txt"
    text = ("\ufeff" if mark else "") + "".join(line + end for line in lines)
    path.write_bytes(text.encode())
    every = end.count("\n")
    expected = [(f"{path}:{1 + every * number}", line) for number, line in enumerate(lines) if line]
    if expected:
        assert list(read_lines(path)) == expected
    else:
        assert error(path) == ": the file is empty: fill it or remove it"


@given(st.binary(max_size=200))
def test_any_bytes_are_lines_or_one_line_of_complaint(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "bytes.txt"
    path.write_bytes(content)
    lines, refusal = [], str(path)
    try:
        lines = list(read_passages(path))
    except DataError as error:
        refusal = str(error)
    assert refusal.startswith(str(path))
    assert refusal.isprintable()
    assert all(line and line == line.strip() and "\n" not in line for line in lines)


def test_byte_order_marks_of_files_that_were_joined_do_not_matter(file):
    mark = b"\xef\xbb\xbf"
    assert read(file, mark + b"one\n" + mark + b"two\n") == ["one", "two"]


def test_a_carriage_return_inside_a_line_is_white_space(file):
    assert read(file, b"one\rmore\r\ntwo\r\n") == ["one\rmore", "two"]


def test_lines_that_end_in_carriage_returns_alone_are_refused(file):
    file.write_bytes(b"one\rtwo\rthree\r")
    assert error(file) == (
        ":1: the file's lines end in carriage returns alone: save it with line feeds"
    )


def test_another_encoding_is_named_at_its_first_line(file):
    file.write_text("one\ntwo\n", encoding="utf-16")
    assert error(file) == ":1: the file is UTF-16, not UTF-8: save the file as UTF-8 text"
    file.write_bytes("one\ncafé\n".encode("latin-1"))
    assert error(file) == (
        ":2: byte 4 of the line (0xe9, 'é' in Windows-1252) is not UTF-8: save the file as UTF-8 "
        "text"
    )


def test_a_line_of_megabytes_is_read(file):
    long = "word " * (2**20)
    assert read(file, b"one\n" + long.encode() + b"\ntwo\n") == ["one", long.strip(), "two"]


def test_a_line_without_an_end_is_refused_before_it_is_read(file):
    """Even one that no memory would hold."""
    with file.open("wb") as sparse:
        sparse.write(b"one\n" + b"x" * LONGEST)
        sparse.truncate(2**40)
    assert error(file) == f":2: the line has more than {LONGEST} bytes: break it up"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, ": no such file: check the path"),
        (lambda path: path.mkdir(), ": cannot be read (Is a directory): check the file"),
        (lambda path: path.symlink_to(path), ": cannot be read (Too many levels of symbolic links)"
         ": check the file"),
        (lambda path: path.symlink_to("nowhere"), ": no such file: check the path"),
        (os.mkfifo, ": not a regular file: put a file in its place"),
    ],
    ids=["nothing", "directory", "loop", "dangling link", "pipe"],
)  # fmt: skip
def test_what_is_no_file_is_one_line(file, make, message):
    make(file)
    assert error(file) == message


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_one_line(file):
    file.write_text("secret\n")
    file.chmod(0)
    assert error(file) == ": cannot be read (Permission denied): check the file"


def test_a_link_to_a_file_is_read(file, tmp_path):
    (tmp_path / "elsewhere").write_text("one\n")
    file.symlink_to("elsewhere")
    assert list(read_passages(file)) == ["one"]


def test_a_file_that_vanishes_while_it_is_read_is_read_to_its_end(file):
    file.write_text("one\ntwo\n")
    lines = read_passages(file)
    assert next(lines) == "one"
    file.unlink()
    assert list(lines) == ["two"]


def test_a_name_with_a_line_break_is_still_one_line(tmp_path):
    with pytest.raises(DataError, match=r"a\\nb\.txt: no such file"):
        list(read_lines(tmp_path / "a\nb.txt"))
