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
    located,
    message_of,
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
