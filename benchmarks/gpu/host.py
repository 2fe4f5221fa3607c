"""`python3 benchmarks/gpu/host.py --out DIR`: measure on a GPU host without a package index.

Needs nothing but a Python that has torch and transformers, and the wheels of
`python -m benchmarks.gpu.wheels`. It sets up a virtual environment beside that Python, runs the
tests that need the device, and measures only if they pass. Results are written to DIR.

`--dry` does everything except the setup, on a CPU, with a tiny body: only to test this program.
"""

import argparse
import os
import shlex
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[2]
WHEELS = Path(__file__).resolve().parent / "wheels"

TESTS = (
    "tests/unit/body/test_accelerator.py",
    "tests/unit/body/kernels/test_varlen.py",
    "tests/contract/test_first_party.py",
)
CHOSEN = "test_accelerator or on_a_gpu or it_computes_where_the_body_is"
STEP = {
    False: ["--model=base", "--words=62", "--length=128", "--rounds=10"],
    True: ["--model=tiny", "--words=6", "--length=16", "--batch=4", "--rounds=1", "--device=cpu",
           "--precision=fp32", "--in-process"],
}  # fmt: skip
SCALE = {
    False: ["--base", "model=base", "batch=32", "length=128", "--model", "small", "base"],
    True: ["--base", "model=tiny", "batch=2", "length=8", "objectives=1", "--objectives", "1", "2",
           "--batch", "--length", "--model", "--rounds=1", "--device=cpu", "--precision=fp32",
           "--in-process"],
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Set up, test and measure; return the exit status of the first failure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="where results go")
    parser.add_argument("--dry", action="store_true", help="on a CPU, with this Python as it is")
    options = parser.parse_args(arguments)
    out: Path = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="tartan-host-") as scratch:
        try:
            python = sys.executable if options.dry else set_up(Path(scratch))
        except subprocess.CalledProcessError as error:
            print(f"not set up, for the reason above: {shlex.join(error.cmd)}", file=sys.stderr)
            return 2
        measured = out / "step.json", out / "scale.json"
        steps: list[list[str]] = [
            ["-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS, "-k", CHOSEN],
            ["-m", "benchmarks.step", *STEP[options.dry], f"--json={measured[0]}"],
            ["-m", "benchmarks.scale", *SCALE[options.dry], f"--json={measured[1]}"],
        ]
        for name, step in zip(("tests", "step", "scale"), steps, strict=True):
            if status := logged([python, *step], out / f"{name}.log"):
                print(f"{name} failed with status {status}: {out / f'{name}.log'}", file=sys.stderr)
                return status
    return 0


def set_up(directory: Path) -> str:
    """Make a virtual environment on top of this Python's packages; return its interpreter."""
    run(sys.executable, "-m", "venv", "--without-pip", str(directory / "venv"))
    python = directory / "venv" / "bin" / "python"
    # This Python may be of a virtual environment itself, whose packages a new one would not see.
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = directory / "venv" / "lib" / version / "site-packages"
    (packages / "host.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    install = [
        sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-index",
        f"--find-links={WHEELS}", "--no-build-isolation",
    ]  # fmt: skip
    run(*install, "setuptools>=77")
    run(*install, "--editable", str(ROOT), "pytest", "hypothesis", "accelerate", "torchjd")
    return str(python)


def run(*command: str) -> None:
    """Run a command that must succeed."""
    subprocess.run(command, check=True)


def logged(command: Sequence[str], log: Path) -> int:
    """Run a command in the checkout, its output to a file; return its exit status."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}
    with log.open("w", encoding="utf-8") as file:
        return subprocess.run(
            command, cwd=ROOT, env=environment, stdout=file, stderr=subprocess.STDOUT, check=False
        ).returncode


if __name__ == "__main__":
    sys.exit(main())
