"""Which signals a run catches."""

import signal

import pytest

from tartan.train.interrupt import Interrupts


def test_a_handler_that_python_cannot_restore_is_left_in_place(monkeypatch: pytest.MonkeyPatch):
    """Another library's: Python calls it None."""
    monkeypatch.setattr(signal, "getsignal", lambda _: None)
    monkeypatch.setattr(signal, "signal", lambda *_: pytest.fail("a handler was replaced"))
    with Interrupts():
        pass


def test_handlers_are_as_before_after_a_block():
    before = signal.getsignal(signal.SIGTERM)
    with Interrupts():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before
