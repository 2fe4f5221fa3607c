"""`python -m benchmarks.gpu.wheels`: fetch the packages that a GPU host lacks.

The host has torch and transformers, and no package index. Versions are those of constraints.txt.
A package without a wheel on the index is built here, if the wheel is for any platform.
"""

import argparse
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from tartan.errors import ConfigError, TartanError, suggest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
WHEELS = HERE / "carried" / "wheels"

LACKING = (
    "antlr4-python3-runtime",
    "datasets",
    "dill",
    "hydra-core",
    "hydra-joblib-launcher",
    "multiprocess",
    "omegaconf",
    "setuptools",
    "torchjd",
)
"""What a host with torch, transformers and the usual scientific packages lacks."""

OTHER_PINS = {"setuptools": "81.0.0"}
"""Instead of constraints.txt: torch 2.11 needs setuptools before 82."""

PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")


def main(arguments: Sequence[str] | None = None) -> int:
    """Fetch the wheels; return 2 if one is not available."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu.wheels", description=__doc__)
    parser.add_argument("names", nargs="*", default=LACKING, help=f"instead of {LACKING}")
    parser.add_argument("--python", default="3.12", help="the host's version")
    parser.add_argument("--to", type=Path, default=WHEELS)
    options = parser.parse_args(arguments)
    options.to.mkdir(parents=True, exist_ok=True)
    versions = {**pins(ROOT / "constraints.txt"), **OTHER_PINS}
    with TemporaryDirectory() as scratch:
        try:
            for requirement in pinned(options.names, versions):
                fetch(requirement, options.python, Path(scratch))
        except TartanError as error:
            print(f"benchmarks: {error}", file=sys.stderr)
            return 2
        for older in options.to.glob("*.whl"):  # pip refuses two versions of one distribution
            older.unlink()
        shutil.copytree(scratch, options.to, dirs_exist_ok=True)
    print(f"{len(list(options.to.glob('*.whl')))} wheels in {options.to}")
    return 0


def pins(file: Path) -> dict[str, str]:
    """Return the versions of a constraints file, by normalised name."""
    lines = (line.strip().partition("==") for line in file.read_text(encoding="utf-8").splitlines())
    return {normalise(name): version for name, equal, version in lines if equal}


def pinned(names: Sequence[str], versions: Mapping[str, str]) -> list[str]:
    """Return requirements of one version each. ConfigError for a name without a pin."""
    for name in names:
        if normalise(name) not in versions:
            raise ConfigError(f"{name} is not in constraints.txt: {suggest(name, versions)}")
    return [f"{name}=={versions[normalise(name)]}" for name in names]


def normalise(name: str) -> str:
    """Return a distribution's name as the index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def fetch(requirement: str, python: str, to: Path) -> None:
    """Put one wheel into a folder. ConfigError if there is none and none can be built."""
    platforms = [f"--platform={platform}" for platform in PLATFORMS]
    given = ["--quiet", "--no-deps", requirement]
    binary = ["--only-binary=:all:", "--implementation=cp", f"--python-version={python}"]
    if _pip("download", *given, *binary, *platforms, f"--dest={to}").returncode == 0:
        return
    with TemporaryDirectory() as scratch:
        said = _pip("wheel", *given, f"--wheel-dir={scratch}").stderr
        built = [wheel for wheel in Path(scratch).glob("*.whl") if wheel.stem.endswith("-none-any")]
        if not built:
            why = (said.strip().splitlines() or ["it is not the same everywhere"])[-1]
            raise ConfigError(
                f"{requirement} has no wheel for Python {python}, and none can be built here "
                f"({why}): build one on the host"
            )
        for wheel in built:
            (to / wheel.name).write_bytes(wheel.read_bytes())


def _pip(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pip", *arguments], capture_output=True, text=True, check=False
    )


if __name__ == "__main__":
    sys.exit(main())
