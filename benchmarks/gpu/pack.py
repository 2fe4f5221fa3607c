"""`python -m benchmarks.gpu.pack`: gather what a GPU host lacks, and refuse more than 64 MiB.

Writes the wheels of `benchmarks.gpu.wheels` and the commit's name to benchmarks/gpu/carried/.
"""

import subprocess
import sys
from pathlib import Path

from benchmarks.gpu import wheels
from benchmarks.origin import ROOT, commit
from tartan.errors import ConfigError, TartanError

LIMIT = 64 * 2**20
"""Bytes that travel: tracked files and what is carried."""


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


def main() -> int:
    """Gather; return 2 if a wheel is not available or the limit is exceeded."""
    if status := wheels.main([]):
        return status
    carried = wheels.WHEELS.parent
    (carried / "commit.txt").write_text(f"{commit()}\n", encoding="utf-8")
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True, check=True
    ).stdout
    tracked = [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]
    size = total(*tracked, carried)
    try:
        check(size)
    except TartanError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    print(f"{size / 2**20:.1f} MiB travel")
    return 0


if __name__ == "__main__":
    sys.exit(main())
