"""`python -m benchmarks.gpu.pack`: gather what a GPU host lacks, and refuse more than 64 MiB.

Writes to benchmarks/gpu/carried/, which git ignores: the wheels of `benchmarks.gpu.wheels`, the
commit's name, and for `benchmarks.gpu.study` the model with half the bytes and the tasks. What an
earlier study of a host returned, `runs.tar.gz`, is carried if it lies there.
"""

import argparse
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.gpu import wheels
from benchmarks.gpu.half import write_half
from benchmarks.origin import ROOT, commit
from tartan.errors import ConfigError, TartanError

LIMIT = 64 * 2**20
"""Bytes that travel: tracked files and what is carried."""
CARRIED = wheels.WHEELS.parent


def total(*places: Path) -> int:
    """Return the bytes of files, and of all files in directories."""
    files = [file for place in places for file in (place.rglob("*") if place.is_dir() else [place])]
    return sum(file.stat().st_size for file in files if file.is_file())


def check(size: int, limit: int = LIMIT) -> None:
    """Raise ConfigError if what travels is too large."""
    if size > limit:
        raise ConfigError(
            f"{size:,} bytes would travel, {limit:,} are the limit: remove something from "
            "benchmarks/gpu/carried/"
        )


def gather(model: Path | None, data: Sequence[Path], carried: Path) -> None:
    """Put a model and tasks into the carried folder. ConfigError if one is not there."""
    for name in ("model", "data"):
        shutil.rmtree(carried / name, ignore_errors=True)
    if model is not None:
        write_half(model, carried / "model")
    for place in data:
        if not place.is_dir():
            raise ConfigError(f"{place} is not a directory: give those of the tasks")
        for file in sorted(file for file in place.iterdir() if file.is_file()):
            to = carried / "data" / place.name / file.name
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, to)  # not its mode: the originals may be read-only


def tracked() -> list[Path]:
    """Return the checkout's files."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True, check=True
    ).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def main(arguments: Sequence[str] | None = None) -> int:
    """Gather; return 2 if something is not available or the limit is exceeded."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu.pack", description=__doc__)
    parser.add_argument("--model", type=Path, help="the first stage of docs/evidence.md")
    parser.add_argument(
        "--data", type=Path, nargs="*", default=(),
        help="directories of tasks (citation_intent), and of texts (acl_abstracts)",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    if status := wheels.main([]):
        return status
    try:
        gather(options.model, options.data, CARRIED)
        (CARRIED / "commit.txt").write_text(f"{commit()}\n", encoding="utf-8")
        files = tracked()
        check(total(*files, CARRIED))
    except TartanError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    sizes = {"checkout": total(*files)}
    sizes |= {place.name: total(place) for place in sorted(CARRIED.iterdir())}
    for name, size in (*sizes.items(), ("all of it", sum(sizes.values()))):
        print(f"{size / 2**20:6.1f} MiB {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
