"""The commands of `python -m tartan`. A new one is a line here, a file and a text in help/."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from types import MappingProxyType


@dataclass(frozen=True)
class Command:
    """A command; its file, `tartan/cli/<name>.py`, has the function `main(arguments) -> int`.

    The file is imported only when the command runs: `--help` prints `help/<name>.txt`, and needs no
    torch.

    Attributes:
        summary: what it does, for `--help`.
        takes: what a shell completes after it: words, and `overrides`, `plugins` or `files`.
        works: whether its results are files, so that it succeeds even if its output cannot be
            printed.
        prints_help: whether its file prints its help: `run` and `study` add the options of the
            configuration, and `completion` may be asked what completes `--help`.
    """

    summary: str
    takes: tuple[str, ...] = ()
    works: bool = False
    prints_help: bool = False


COMMANDS: Mapping[str, Command] = MappingProxyType(
    {
        "run": Command(
            "train: run 'objectives=[mlm]' weighting=meta; run --help lists the options",
            ("overrides",),
            works=True,
            prints_help=True,
        ),
        "data": Command(
            "show what a run would read of files: data messages.csv; see data --help",
            ("files",),
        ),
        "predict": Command(
            "predict a file of texts: predict RUN texts.csv out.csv", ("files",), works=True
        ),
        "evaluate": Command(
            "score a run on labelled data: evaluate RUN labelled.csv", ("files",), works=True
        ),
        "compare": Command("compare finished runs: compare RUN RUN ...", ("files",), works=True),
        "new": Command(
            "write a plugin to start from: new objective NAME, or new weighting NAME",
            ("objective", "weighting"),
        ),
        "study": Command(
            "compare arms on the same seeds: study study.seeds=8; see study --help",
            ("overrides",),
            works=True,
            prints_help=True,
        ),
        "list": Command(
            "show every objective and weighting, and what it costs", ("--json", "--markdown")
        ),
        "check": Command(
            "test plugins against their contracts: check mlm static; all without a name",
            ("plugins",),
        ),
        "doctor": Command("show versions, device, what is missing, and how fast a step is here"),
        "completion": Command(
            'print the completion of a shell: eval "$(tartan completion bash)"',
            ("bash", "zsh", "fish"),
            prints_help=True,
        ),
    }
)
"""Every command by its name, in the order of `--help`."""


def help_text(name: str) -> str:
    """Return the file `help/<name>.txt`, which says how a command is used."""
    return (files("tartan.cli") / f"help/{name}.txt").read_text(encoding="utf-8")
