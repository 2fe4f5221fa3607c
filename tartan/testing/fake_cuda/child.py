"""The loop of a fake device's process: functions in, results out."""

import os
import pickle
import sys
from typing import IO

import torch

from tartan.testing.fake_cuda.process import CannotBeSentError
from tartan.testing.fake_cuda.stand_ins import install


def serve() -> None:
    """Call the functions that come through standard input until it ends."""
    install()
    torch.set_num_threads(1)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a function prints is no answer
    while True:
        try:
            sent = _answer(sys.stdin.buffer)
        except EOFError:
            return
        answers.write(sent)
        answers.flush()


def _answer(requests: IO[bytes]) -> bytes:
    """Return the pickled answer to the next request; EOFError if there is none."""
    length = int.from_bytes(_all(requests, 8), "big")
    request = _all(requests, length)
    try:
        function, arguments = pickle.loads(request)
    except (ImportError, AttributeError) as error:
        return pickle.dumps((False, CannotBeSentError(f"it cannot be sent: {error}")))
    try:
        return pickle.dumps((True, function(*arguments)))
    except Exception as error:  # the caller's own, or one of what the function calls
        return pickle.dumps((False, _portable(error)))


def _all(requests: IO[bytes], count: int) -> bytes:
    """Read a number of bytes; EOFError if there are fewer."""
    read = requests.read(count)
    if len(read) < count:
        raise EOFError
    return read


def _portable(error: Exception) -> Exception:
    """Return an error that can be sent: itself, or one with its text."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # whatever its class does when it is copied
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
