"""Run the fast tests on the oldest and the newest supported releases: `python -m tools.matrix`.

Each cell of the matrix is a Python and a set of releases. It gets a virtual environment of its own
under `.matrix/`, into which tartan is installed with that set:

* `lowest`: every dependency at the lower bound that pyproject.toml states, on the oldest Python.
* `newest`: every dependency at its newest release, on each supported Python.

On Linux, PyPI's torch brings several gigabytes of CUDA libraries. A cell therefore uses a CPU build
(`torch==X+cpu`), which `--index https://download.pytorch.org/whl/cpu` or pip's own settings can
offer. If there is none, the cell is skipped, and the reason is printed. `--cuda` uses PyPI's
build, and `--torch VERSION` one release in every cell.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PYTHONS = ("3.11", "3.12", "3.13")
ENVIRONMENTS = ROOT / ".matrix"
_BOUND = re.compile(r"([A-Za-z0-9._-]+)>=([0-9.]+)")


@dataclass(frozen=True)
class Cell:
    """One environment: a Python and a set of releases, `lowest` or `newest`."""

    python: str
    releases: str

    @property
    def name(self) -> str:
        """Return the name of the cell, which is its directory under `.matrix/` too."""
        return f"{self.python}-{self.releases}"


CELLS = (Cell(PYTHONS[0], "lowest"), *(Cell(python, "newest") for python in PYTHONS))


class SkippedError(Exception):
    """A cell cannot be built here; the message is the reason."""


class FailedError(Exception):
    """Installing or testing a cell failed; the message says which."""


def lowest(dependencies: Sequence[str]) -> list[str]:
    """Return a constraint for each dependency: exactly the lower bound.

    Raises:
        ValueError: a dependency states no lower bound.
    """
    constraints = []
    for dependency in dependencies:
        bound = _BOUND.match(dependency)
        if bound is None:
            raise ValueError(f"{dependency!r} has no lower bound: write name>=version")
        constraints.append("==".join(bound.groups()))
    return constraints


def project_dependencies() -> list[str]:
    """Return the dependencies that pyproject.toml lists."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    listed: list[str] = tomllib.loads(text)["project"]["dependencies"]
    return listed


def newest_cpu(versions: Sequence[str]) -> str | None:
    """Return the first CPU build in a list of versions sorted from new to old."""
    return next((version for version in versions if version.endswith("+cpu")), None)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the chosen cells, print a line for each; return 1 if one failed, else 0."""
    parser = argparse.ArgumentParser(prog="python -m tools.matrix", description=__doc__)
    names = [cell.name for cell in CELLS]
    parser.add_argument("cells", nargs="*", help=f"which cells, of {', '.join(names)} (all)")
    parser.add_argument("--index", help="a further package index, such as one of CPU builds")
    parser.add_argument("--cuda", action="store_true", help="use PyPI's torch, CUDA included")
    parser.add_argument("--torch", help="the torch of every cell, such as 2.13.0+cpu")
    parser.add_argument("--no-skips", action="store_true", help="treat a skipped cell as failed")
    options = parser.parse_args(arguments)
    unknown = set(options.cells) - set(names)
    if unknown:
        parser.error(f"no cell is named {', '.join(sorted(unknown))}: choose from {names}")
    results = {}
    for cell in CELLS:
        if options.cells and cell.name not in options.cells:
            continue
        print(f"=== {cell.name}", flush=True)
        try:
            results[cell.name] = f"passed with {run(cell, options)}"
        except SkippedError as reason:
            results[cell.name] = f"skipped: {reason}"
        except FailedError as reason:
            results[cell.name] = f"failed: {reason}"
        print(f"=== {cell.name}: {results[cell.name]}", flush=True)
    print("\n".join(["", *(f"{name}: {result}" for name, result in results.items())]))
    bad = ("failed", "skipped") if options.no_skips else ("failed",)
    return int(any(result.startswith(bad) for result in results.values()))


def run(cell: Cell, options: argparse.Namespace) -> str:
    """Build the environment of a cell, run the fast tests in it, and return its releases."""
    python = interpreter(cell.python)
    place = ENVIRONMENTS / cell.name
    shutil.rmtree(place, ignore_errors=True)
    command([python, "-m", "venv", str(place)], "venv")
    own = place / "bin" / "python"
    command([str(own), "-m", "pip", "install", "--quiet", "--upgrade", "pip"], "pip install pip")
    extra = ["--extra-index-url", options.index] if options.index else []
    constraints = lowest(project_dependencies()) if cell.releases == "lowest" else []
    if options.torch or (sys.platform == "linux" and not options.cuda):
        constraints = [line for line in constraints if not line.startswith("torch==")]
        constraints.append(f"torch=={options.torch or cpu_build(own, cell, extra)}")
    file = place / "constraints.txt"
    file.write_text("\n".join(constraints) + "\n", encoding="utf-8")
    command(
        [str(own), "-m", "pip", "install", "--quiet", "-e", ".[dev,docs]", "-c", str(file), *extra],
        "pip install",
    )
    command(["make", "test-fast", f"PY={own}", "READY="], "make test-fast")
    return releases(own)


def interpreter(version: str) -> str:
    """Return the path of a Python that runs and has this version."""
    for name in (f"python{version}", *pyenv(version)):
        path = shutil.which(name)
        if (
            path
            and subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode == 0
        ):
            return path
    raise SkippedError(f"python{version} is not installed")


def pyenv(version: str) -> list[str]:
    """Return pyenv's interpreters of a version, which its shims do not run unless selected."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    return [str(path) for path in sorted(root.glob(f"versions/{version}.*/bin/python{version}"))]


def cpu_build(python: Path, cell: Cell, extra: Sequence[str]) -> str:
    """Return the torch version of a cell as a CPU build, if pip's indexes have one for it."""
    listed = subprocess.run(
        [str(python), "-m", "pip", "index", "versions", "torch", "--json", *extra],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    try:
        versions = json.loads(listed.stdout)["versions"]
    except (ValueError, KeyError) as error:
        raise FailedError(f"pip index versions torch: {listed.stderr.strip()[-300:]}") from error
    if cell.releases == "newest":
        version = newest_cpu(versions)
    else:
        bound = next(line for line in lowest(project_dependencies()) if line.startswith("torch=="))
        wanted = bound.removeprefix("torch==")
        version = newest_cpu([v for v in versions if re.match(rf"{re.escape(wanted)}(\.|\+)", v)])
    if version is None:
        raise SkippedError(
            f"pip finds no CPU build of the {cell.releases} torch for Python {cell.python}: "
            "add an index with --index, or allow the CUDA build with --cuda"
        )
    return version


def releases(python: Path) -> str:
    """Return the versions of the main dependencies that an environment has."""
    names = ("torch", "transformers", "datasets", "hydra-core", "numpy")
    code = f"from importlib.metadata import version as v; print(*map(v, {names}))"
    found = subprocess.run(
        [str(python), "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return ", ".join(map(" ".join, zip(names, found.stdout.split(), strict=True)))


def command(words: Sequence[str], what: str) -> None:
    """Run a command in the checkout.

    Raises:
        FailedError: it did not succeed.
    """
    status = subprocess.run(words, cwd=ROOT, check=False).returncode
    if status:
        raise FailedError(f"{what} (exit status {status})")


if __name__ == "__main__":
    sys.exit(main())
