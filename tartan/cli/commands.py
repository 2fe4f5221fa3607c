"""The commands of `python -m tartan`. A new command is one line here, and a file in this folder."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Command:
    """A command; its file, `tartan/cli/<name>.py`, has the function `main(arguments) -> int`.

    The file is imported only when the command runs or prints its help.

    Attributes:
        summary: what it does, for `--help`.
        takes: what a shell completes after it: words, and `overrides`, `plugins` or `files`.
        works: whether its results are files, so that it succeeds even if its output cannot be
            printed.
        help: what `--help` prints after it; None where its file prints it, which needs no torch.
    """

    summary: str
    takes: tuple[str, ...] = ()
    works: bool = False
    help: str | None = None


NEW = """\
usage: python -m tartan new objective|weighting NAME

Writes tartan-NAME/, a small plugin that can be installed and has a test, to the working directory.

  python -m tartan new objective mine
  pip install -e tartan-mine && python -m tartan check mine
"""
LIST = """\
usage: python -m tartan list [--json|--markdown]

Prints every installed objective and weighting with what it costs: as tables, as JSON for programs,
or the weightings as a page.
"""
CHECK = """\
usage: python -m tartan check [NAME ...]

Tests installed plugins, all of them without a name, against the rules that the core relies on, and
prints how to fix what breaks one. The exit status is 1 if a rule is broken.

  python -m tartan check mlm static
"""
DOCTOR = """\
usage: python -m tartan doctor

Prints versions, the device, memory, threads, what other programs use, optional packages that are
missing, and how fast a step is here.
"""

COMMANDS: Mapping[str, Command] = MappingProxyType(
    {
        "run": Command(
            "train: run 'objectives=[mlm]' weighting=meta; run --help lists the options",
            ("overrides",),
            works=True,
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
            help=NEW,
        ),
        "study": Command(
            "compare arms on the same seeds: study study.seeds=8; see study --help",
            ("overrides",),
            works=True,
        ),
        "list": Command(
            "show every objective and weighting, and what it costs",
            ("--json", "--markdown"),
            help=LIST,
        ),
        "check": Command(
            "test plugins against their contracts: check mlm static; all without a name",
            ("plugins",),
            help=CHECK,
        ),
        "doctor": Command(
            "show versions, device, what is missing, and how fast a step is here", help=DOCTOR
        ),
        "completion": Command(
            'print the completion of a shell: eval "$(tartan completion bash)"',
            ("bash", "zsh", "fish"),
        ),
    }
)
"""Every command by its name, in the order of `--help`."""
