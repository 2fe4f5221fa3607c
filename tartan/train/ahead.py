"""Compute the next step's batches while the current step runs."""

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import Generic, TypeVar

T = TypeVar("T")


class Ahead(Generic[T]):
    """Calls a function with numbers in order, the next number in a thread ahead of time.

    The result must depend on the number only. Each is made in a thread that ends with it, one at a
    time: nothing has to be closed, and a result that is not used is dropped.
    """

    def __init__(self, make: Callable[[int], T]) -> None:
        """Store the function; nothing is made yet."""
        self._make = make
        self._next: tuple[int, Future[T]] | None = None
        self._thread: Thread | None = None

    def __call__(self, number: int) -> T:
        """Return the result for a number, or raise the exception that making it raised."""
        following, made = self._next or (None, None)
        if made:
            made.exception()  # waits
        result = made.result() if made and following == number else self._make(number)
        self._next = number + 1, self._begin(number + 1)
        return result

    def wait(self) -> None:
        """Wait until nothing is being made: the function may wait for other processes."""
        if self._thread:
            self._thread.join()

    def _begin(self, number: int) -> "Future[T]":
        """Start a thread that makes the result for a number."""
        made: Future[T] = Future()

        def make() -> None:
            try:
                made.set_result(self._make(number))
            except BaseException as error:  # `__call__` raises it
                made.set_exception(error)

        self._thread = Thread(target=make, name="tartan-ahead")
        self._thread.start()
        return made
