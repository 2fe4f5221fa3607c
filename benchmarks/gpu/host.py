"""`python3 -m benchmarks.gpu.host --out DIR`: measure on a GPU host without a package index.

Needs a Python that has torch and transformers, and what `python -m benchmarks.gpu.pack` wrote. It
sets up a virtual environment beside that Python and runs the steps of `MEASURE`; with `--study`,
the regimes of docs/evidence.md instead, several runs at a time. DIR/status.json has what became of
each step, DIR/log.txt its output; one that fails is recorded and the next one runs. All of it ends
before `--seconds`.

`--small` takes tiny bodies, and few steps in a study: a rehearsal, whose times mean nothing.
"""

import argparse
import os
import shlex
import subprocess
import sys
import sysconfig
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.gpu.steps import GRACE, Outcome, Record, Step, run_all

ROOT = Path(__file__).resolve().parents[2]
CARRIED = Path(__file__).resolve().parent / "carried"
SECONDS = 540.0
BUILD = "built"
LIBRARY = "from tartan.testing.fake_cuda.build import library; print(library())"

TESTS = (
    "tests/unit/body/test_accelerator.py",
    "tests/unit/body/kernels/test_varlen.py",
    "tests/integration/test_on_a_gpu.py",
    "tests/contract/test_first_party.py",
)
CHOSEN = "test_accelerator or on_a_gpu or it_computes_where_the_body_is"
MEASURE = {
    "tests": 120.0, "agreement": 60.0, "graphs": 150.0, "sides": 270.0, "memory": 120.0,
    "profile": 60.0,
}  # fmt: skip
"""The most seconds of each step, of `SECONDS` for all; together with the installation they may
exceed the deadline, which then shortens the last ones."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Set up and run the steps; return 1 if one did not pass, 2 if nothing could be set up."""
    began = time.monotonic()
    given = sys.argv[1:] if arguments is None else list(arguments)
    options = parser().parse_args(given)
    out: Path = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    commit = CARRIED / "commit.txt"
    facts = {
        "command": shlex.join(
            ["python3", "-m", "benchmarks.gpu.host", *(arguments or sys.argv[1:])]
        ),
        "commit": commit.read_text("utf-8").strip() if commit.exists() else None,
        "seconds": options.seconds,
    }
    record = Record(out / "status.json", facts)
    with TemporaryDirectory(prefix="tartan-host-") as scratch:
        try:
            python = sys.executable if options.installed else set_up(Path(scratch))
            if options.fake == BUILD:
                options.fake = _run(python, "-c", LIBRARY).strip()
        except subprocess.CalledProcessError as error:
            record.add(
                Outcome("set-up", "failed", error.returncode, said=(error.stderr or "")[-400:])
            )
            print(f"not set up: {shlex.join(error.cmd)}\n{error.stderr}", file=sys.stderr)
            return 2
        record.add(Outcome("set-up", "passed", 0, round(time.monotonic() - began, 2)))
        deadline = began + options.seconds
        steps = plan(python, options, out, deadline - time.monotonic())
        run_all(steps, record, out, deadline, cwd=ROOT)
    return 0 if all(each.status == "passed" for each in record.outcomes) else 1


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(prog="python3 -m benchmarks.gpu.host", description=__doc__)
    made.add_argument("--out", type=Path, required=True, help="where results go")
    made.add_argument("--seconds", type=float, default=SECONDS, help="of all of it")
    made.add_argument("--only", nargs="+", choices=tuple(MEASURE), default=tuple(MEASURE))
    made.add_argument("--small", action="store_true", help="tiny bodies, for a rehearsal")
    made.add_argument("--installed", action="store_true", help="with this Python as it is")
    made.add_argument(
        "--fake", metavar="LIBRARY", nargs="?", const=BUILD,
        help="on the fake device of this library, which is built if it is not given",
    )  # fmt: skip
    made.add_argument(
        "--study", metavar="REGIME", nargs="*", help="the regimes of docs/evidence.md, or some"
    )
    return made


def plan(python: str, options: argparse.Namespace, out: Path, seconds: float) -> list[Step]:
    """Return the steps of a command line, for which some seconds are left."""
    program = [python]
    if options.fake:
        program += [str(ROOT / "benchmarks" / "gpu" / "on_fake.py"), options.fake]
    small = ["--small"] if options.small else []
    if options.study is not None:
        own = max(seconds - 2 * GRACE, 1.0)  # it stops its runs itself, before it is stopped
        study = ["-m", "benchmarks.gpu.study", *options.study, f"--out={out}", *small]
        return [Step("study", [*program, *study, f"--seconds={own:.0f}"], seconds)]
    tests = ["-q", "-p", "no:cacheprovider", *TESTS, "-k", CHOSEN]
    modules = {
        "tests": ["-m", "pytest", *tests],
        "agreement": ["-m", "benchmarks.gpu.agree", *small],
        "graphs": ["-m", "benchmarks.gpu.sides", "--cases=graphs", *small],
        "sides": ["-m", "benchmarks.gpu.sides", *small],
        "memory": ["-m", "benchmarks.gpu.sides", "--cases=memory", *small],
        "profile": ["-m", "benchmarks.gpu.profiled", *small],
    }
    written = {name: [f"--json={out / name}.json"] for name in modules if name != "tests"}
    longer = max(1.0, options.seconds / SECONDS)  # a rehearsal on a slow machine
    return [
        Step(name, [*program, *modules[name], *written.get(name, [])], most * longer)
        for name, most in MEASURE.items()
        if name in options.only
    ]


def set_up(directory: Path) -> str:
    """Make a virtual environment on top of this Python's packages; return its interpreter."""
    _run(sys.executable, "-m", "venv", "--without-pip", str(directory / "venv"))
    python = directory / "venv" / "bin" / "python"
    # This Python may be of a virtual environment itself, whose packages a new one would not see.
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = directory / "venv" / "lib" / version / "site-packages"
    (packages / "host.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    # Without dependencies: pip would refuse the versions of them that the host has.
    install = [
        sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-index",
        "--no-deps", "--no-build-isolation",
    ]  # fmt: skip
    _run(*install, *map(str, sorted((CARRIED / "wheels").glob("*.whl"))))
    _run(*install, "--editable", str(ROOT))
    return str(python)


def _run(*command: str) -> str:
    """Run a command that must succeed; return its output."""
    environment = {**os.environ, "PIP_CONSTRAINT": ""}
    return subprocess.run(
        command, check=True, capture_output=True, text=True, env=environment, cwd=ROOT
    ).stdout


if __name__ == "__main__":
    sys.exit(main())
