"""Errors that a process sends to another."""

import pickle
from signal import SIGTERM

import pytest

from tartan.data.cells import MissingLabelError
from tartan.errors import (
    DataError,
    Interrupted,
    NoSuchOptionError,
    PeerError,
    TartanError,
    first_line,
    located,
    message_of,
    with_type,
)


@pytest.mark.parametrize(
    "error", [DataError("a:1: b"), NoSuchOptionError("x: no such option", "x"), PeerError(3),
              Interrupted(SIGTERM, "step 3 is saved")]
)  # fmt: skip
def test_an_error_is_the_same_when_it_was_pickled(error: BaseException):
    error.add_note("a note")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert (message_of(copy), vars(copy)) == (message_of(error), vars(error))
    assert getattr(copy, "status", None) == getattr(error, "status", None)


@pytest.mark.parametrize(
    "error",
    [DataError("a:1: b"), NoSuchOptionError("no option", "x"), MissingLabelError("r", "no")],
)
def test_an_error_is_located_whatever_its_constructor_takes(error: TartanError):
    found = located(error, "arm mt")
    assert type(found) is type(error)
    assert (str(found), vars(found)) == (f"arm mt: {error}", vars(error))


@pytest.mark.parametrize(
    ("error", "first", "typed"),
    [
        (ValueError("no"), "no", "ValueError: no"),
        (ValueError("\n  one \n two\n"), "one", "ValueError: one two"),
        (NotImplementedError(), "NotImplementedError", "NotImplementedError"),
        (OSError(" \n"), "OSError", "OSError"),
    ],
)
def test_an_error_of_any_message_fits_into_a_line(error: Exception, first: str, typed: str):
    assert (first_line(error), with_type(error)) == (first, typed)
