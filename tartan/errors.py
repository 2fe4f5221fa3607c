"""Errors that a user can fix: one line that says what is wrong, where, and what to do."""

from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from signal import Signals
from typing import Any, TypeVar

E = TypeVar("E", bound=BaseException)
LISTED = 40
"""Choices that an error line lists at most."""
LONGEST = 60
"""The most characters that an error line shows for a name or value."""
Pickled = tuple[Callable[..., BaseException], tuple[Any, ...], dict[str, Any]]
"""What `__reduce__` returns of an error."""


class TartanError(Exception):
    """An error that the command line reports in one line, with exit status 2 and no traceback."""

    def __init__(self, message: str) -> None:
        """Keep the message on one line, whatever it quotes of a file or its name."""
        super().__init__("".join(c if c.isprintable() else repr(c)[1:-1] for c in message))

    def __reduce__(self) -> Pickled:
        """Return how it is unpickled, whatever its constructor takes."""
        return _restored, (type(self), self.args), self.__dict__


class ConfigError(TartanError):
    """An option, name or value of the configuration that cannot be used."""


class NoSuchOptionError(ConfigError):
    """An override of an option that the configuration does not have.

    Attributes:
        key: the option, dotted.
    """

    def __init__(self, message: str, key: str) -> None:
        super().__init__(message)
        self.key = key


class DataError(TartanError):
    """A data file, row or split that cannot be used."""


class MissingCorpusError(DataError):
    """A corpus that an objective reads and the task lacks."""


class ModelError(TartanError):
    """A model or tokenizer that cannot be loaded, or cannot serve as a body or head."""


class PluginError(TartanError):
    """A plugin that is unknown, broken, or claims a name that another plugin has."""


class CheckpointError(TartanError):
    """A checkpoint that cannot be read, or does not belong to this run."""


class DivergenceError(TartanError):
    """Training whose losses or gradients are no longer finite."""


class StorageError(TartanError):
    """A file of a run that cannot be written: the disk is full, say."""


class OutOfMemoryError(TartanError):
    """A batch or model for which there is not enough memory."""


class BusyError(TartanError):
    """A run directory that another process is using."""


class PeerError(TartanError):
    """The failure of another process of the same run, which reports it itself.

    Attributes:
        status: the exit status of all processes.
    """

    def __init__(self, status: int) -> None:
        super().__init__("another process of the run has failed")
        self.status = status


class Interrupted(KeyboardInterrupt):
    """A signal that ends a run: not an `Exception`, so that no handler of errors catches it.

    Attributes:
        number: the signal's.
    """

    def __init__(self, number: int, saved: str = "what was saved before is kept") -> None:
        super().__init__(f"stopped by {Signals(number).name}; {saved}")
        self.number = number

    def __reduce__(self) -> Pickled:
        """Return how it is unpickled."""
        return _restored, (type(self), self.args), self.__dict__

    @property
    def status(self) -> int:
        """Return the exit status that shells give a process ended by this signal."""
        return 128 + self.number


def _restored(cls: type[E], args: tuple[Any, ...]) -> E:
    """Return an error of a class, without its constructor, which may take other arguments."""
    return cls.__new__(cls, *args)


def located(error: E, where: str) -> E:
    """Return an error of the same class whose message begins with where it is: `arm mt: ...`."""
    made = _restored(type(error), (f"{where}: {error}",))
    vars(made).update(vars(error))
    return made


def message_of(error: BaseException) -> str:
    """Return an error's message and notes, in one line."""
    return "; ".join([str(error), *getattr(error, "__notes__", ())])


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message that is not blank, or else its type.

    >>> first_line(NotImplementedError())
    'NotImplementedError'
    """
    lines = (line.strip() for line in str(error).splitlines())
    return next(filter(None, lines), type(error).__name__)


def with_type(error: BaseException, *, whole: bool = True) -> str:
    r"""Return an error's type and its message, in one line; not `whole`, the message's first line.

    >>> with_type(ValueError("two\nlines")), with_type(ValueError("two\nlines"), whole=False)
    ('ValueError: two lines', 'ValueError: two')
    """
    if not str(error).strip():
        return type(error).__name__
    message = " ".join(str(error).split()) if whole else first_line(error)
    return f"{type(error).__name__}: {message}"


def suggest(word: str, choices: Iterable[str]) -> str:
    """Return the end of an error line: the nearest valid name, or all where none is near.

    >>> suggest("mln", ["mlm", "classification"])
    "did you mean 'mlm'?"
    """
    known = sorted(set(choices))
    near = get_close_matches(word, known, n=1) if len(word) <= LONGEST else []
    if near:
        return f"did you mean '{shown(near[0])}'?"
    more = f" and {len(known) - LISTED} others" if len(known) > LISTED else ""
    return (
        f"choose from: {', '.join(map(shown, known[:LISTED]))}{more}" if known else "there are none"
    )


def listed(names: Sequence[str], most: int) -> str:
    """Return the first of some names for a line, and how many more there are.

    >>> listed(["a.csv", "b.csv", "c.csv"], 2)
    'a.csv, b.csv and 1 more'
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(shown, names[:most])) + more


def shown(value: str) -> str:
    """Return a value for an error line, cut to a length that helps to find it.

    >>> shown("word " * 99)
    'word word word word word word word word word word word word ...'
    """
    return value if len(value) <= LONGEST else f"{value[:LONGEST]}..."
