"""`python -m benchmarks.gpu.rehearse --python PYTHON --json FILE`: both calls of a GPU host, here.

A fresh virtual environment gets the host's packages (`host.txt`) and no others. A folder gets what
travels: the checkout's tracked files and benchmarks/gpu/carried/. There the calls of
`benchmarks.gpu.host` run as on the host, without network where the system can take it away, on the
CPU and on the fake device. FILE is written after each.

Times say nothing about a GPU. `--seconds` is longer than a host's, as CPUs are slower.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.gpu.pack import CARRIED, check, total, tracked
from benchmarks.origin import ROOT, commit

HOST = Path(__file__).with_name("host.txt")
STUDY = ("--study", "b128")
CALLS = {
    "measure, CPU": (),
    "measure, fake device": ("--fake",),
    "study, CPU": STUDY,
    "study, fake device": (*STUDY, "--fake"),
}
SAID = 600
"""Characters of a call's output that are recorded."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Rehearse; return 1 if a call did not end as it should."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu.rehearse", description=__doc__)
    parser.add_argument("--python", default="python3.12", help="of the host's version")
    parser.add_argument("--environment", type=Path, help="one that an earlier rehearsal made")
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--out", type=Path, help="where results of the calls are kept")
    parser.add_argument("--seconds", type=float, default=1800.0, help="of each call")
    parser.add_argument("--only", nargs="+", choices=tuple(CALLS), default=tuple(CALLS))
    options = parser.parse_args(arguments)
    with TemporaryDirectory(prefix="tartan-rehearsal-") as scratch:
        host = options.environment or environment(options.python, Path(scratch) / "host")
        checkout = travel(Path(scratch) / "checkout")
        found: dict[str, Any] = {
            "commit": commit(),
            "versions": installed(host),
            "bytes": {"checkout": total(*tracked()), "carried": total(CARRIED)},
            "network": not without_network(),
            "calls": {},
        }
        if options.json.exists():
            found["calls"] = json.loads(options.json.read_text("utf-8"))["calls"]
        for name in options.only:
            out = (options.out or Path(scratch)).absolute() / re.sub(r"\W+", "-", name)
            found["calls"][name] = call(host, checkout, out, options.seconds, CALLS[name])
            options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
            print(json.dumps({name: found["calls"][name]}, indent=1), flush=True)
    return int(any(found["calls"][name]["code"] for name in options.only))


def environment(python: str, place: Path) -> Path:
    """Make an environment with the host's packages; return its interpreter."""
    subprocess.run([python, "-m", "venv", str(place)], check=True)
    own = place / "bin" / "python"
    # The list is complete: without dependencies, nothing that the host lacks is installed.
    command = [str(own), "-m", "pip", "install", "--quiet", "--no-deps", "--requirement", str(HOST)]
    subprocess.run(command, check=True)
    return own


def travel(place: Path) -> Path:
    """Copy what travels to the host."""
    files = [*tracked(), *(file for file in CARRIED.rglob("*") if file.is_file())]
    studied = CARRIED / "study"
    files = [file for file in files if not file.is_relative_to(studied)]
    check(total(*files))
    for file in files:
        to = place / file.relative_to(ROOT)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, to)
    return place


def call(
    host: Path, checkout: Path, out: Path, seconds: float, more: Sequence[str]
) -> dict[str, Any]:
    """Run a call of the host, and return what became of it."""
    command = [str(host), "-m", "benchmarks.gpu.host", f"--out={out}", "--small", *more]
    command.append(f"--seconds={seconds:.0f}")
    began = time.monotonic()
    done = subprocess.run(
        [*without_network(), *command], cwd=checkout, capture_output=True, text=True, check=False
    )
    status = out / "status.json"
    return {
        "command": " ".join(["python3", *command[1:]]).replace(str(out), "OUT"),
        "code": done.returncode,
        "seconds": round(time.monotonic() - began, 1),
        "steps": json.loads(status.read_text("utf-8"))["steps"] if status.exists() else [],
        "files": {file.name: file.stat().st_size for file in sorted(out.glob("*"))},
        "said": (done.stdout + done.stderr)[-SAID:] if done.returncode else "",
    }


def without_network() -> list[str]:
    """Return the words before a command that has no network; none where it cannot be taken away."""
    words = ["unshare", "--net", "--map-root-user"]
    if shutil.which(words[0]) is None:
        return []
    return [] if subprocess.run([*words, "true"], check=False).returncode else words


def installed(python: Path) -> dict[str, str]:
    """Return the versions of the host's Python, torch and transformers."""
    program = (
        "import json, platform; from importlib.metadata import version; "
        "print(json.dumps({'python': platform.python_version(), "
        "**{name: version(name) for name in ('torch', 'transformers')}}))"
    )
    done = subprocess.run([str(python), "-c", program], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


if __name__ == "__main__":
    sys.exit(main())
