"""What the next step reads, made while the current one computes."""

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import Generic, TypeVar

T = TypeVar("T")


class Ahead(Generic[T]):
    """Gives the thing of a number, and has that of the number after it made by a thread.

    A thing has to be a function of its number alone. Things are made one after the other, each by
    a thread that ends with it: nothing has to be closed, and what nobody asks for is dropped.
    """

    def __init__(self, make: Callable[[int], T]) -> None:
        """Make nothing yet."""
        self._make = make
        self._next: tuple[int, Future[T]] | None = None

    def __call__(self, number: int) -> T:
        """The thing of a number. Raises what making it raises, though the thread met it earlier."""
        following, made = self._next or (None, None)
        if made:
            made.exception()  # waits
        thing = made.result() if made and following == number else self._make(number)
        self._next = number + 1, self._begin(number + 1)
        return thing

    def _begin(self, number: int) -> "Future[T]":
        """Have a thread make the thing of a number."""
        made: Future[T] = Future()

        def make() -> None:
            try:
                made.set_result(self._make(number))
            except BaseException as error:  # whatever it is, it is for whoever asks for the thing
                made.set_exception(error)

        Thread(target=make, name="tartan-ahead").start()
        return made
