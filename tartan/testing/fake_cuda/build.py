"""Build the C++ part of the fake device, once for each installation of torch and each source."""

import hashlib
import os
import platform
import subprocess
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory

import torch

SOURCE = Path(__file__).with_name("device.cpp")
CUDA = ("torch_cuda", "c10_cuda")
"""Of a build of torch with CUDA: loaded before the device, which replaces what they register."""
LIBRARIES = ("torch_cpu", "c10")


class BuildError(Exception):
    """The library cannot be built here, in one line."""


def why_not() -> str | None:
    """Return why there can be no fake device here; None if there can."""
    if platform.system() != "Linux":
        return f"the fake CUDA device is for Linux, not {platform.system()}"
    if torch.cuda.is_available():
        return "there is a GPU"
    return None if compiler() else "there is no C++ compiler (g++, clang++ or $CXX)"


def compiler() -> str | None:
    """Return the path of a C++ compiler; None if there is none."""
    names = (os.environ.get("CXX", ""), "g++", "clang++")
    return next((found for name in names if name and (found := which(name))), None)


def library() -> Path:
    """Return the library's file, built if it was not yet (half a minute).

    Raises:
        BuildError: it cannot be built.
    """
    if (reason := why_not()) is not None:
        raise BuildError(reason)
    file = _file()
    if not file.exists():
        _build(file)
    return file


def _file() -> Path:
    """Return where the library is. It is linked to torch's files, so each installation has one."""
    made_for = f"{torch.__version__} {torch.__file__}".encode()
    key = hashlib.sha256(SOURCE.read_bytes() + made_for).hexdigest()[:16]
    return _cache() / f"fake-cuda-{key}.so"


def _cache() -> Path:
    """Return the folder of libraries."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "tartan"


def _build(file: Path) -> None:
    """Compile the library to a file, which appears complete or not at all."""
    root = Path(torch.__file__).parent
    include = root / "include"
    libraries = (*(CUDA if torch.backends.cuda.is_built() else ()), *LIBRARIES)
    command = [
        str(compiler()), "-O1", "-std=c++20", "-fPIC", "-shared", str(SOURCE),
        f"-I{include}", f"-I{include / 'torch/csrc/api/include'}", f"-L{root / 'lib'}",
        "-Wl,--no-as-needed", "-Wl,--allow-shlib-undefined",
        *(f"-l{name}" for name in libraries), f"-Wl,-rpath,{root / 'lib'}",
        f"-D_GLIBCXX_USE_CXX11_ABI={int(torch.compiled_with_cxx11_abi())}",
    ]  # fmt: skip
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=file.parent) as scratch:
            built = Path(scratch) / file.name
            answer = subprocess.run(
                [*command, "-o", str(built)], capture_output=True, text=True, check=False
            )
            if answer.returncode:
                errors = [line for line in answer.stderr.splitlines() if "error" in line]
                raise BuildError(f"{command[0]} failed: {(errors or ['no reason given'])[0]}")
            built.replace(file)
    except OSError as error:
        raise BuildError(f"{file} cannot be written: {error.strerror}") from error
