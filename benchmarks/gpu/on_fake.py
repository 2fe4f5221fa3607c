"""`python benchmarks/gpu/on_fake.py LIBRARY -m MODULE ...`: run a module on the fake CUDA device.

LIBRARY is what `tartan.testing.fake_cuda.build` built. torch asks for devices when it is
imported, so the library is loaded before. Processes that the module starts to train in have the
device too: `inherited/sitecustomize.py` loads it there.
"""

import ctypes
import os
import runpy
import sys
from pathlib import Path


def main(library: str, flag: str, module: str, *arguments: str) -> None:
    """Load the device and run a module as `python -m` does."""
    if flag != "-m":
        raise SystemExit(__doc__)
    ctypes.CDLL(library, mode=ctypes.RTLD_GLOBAL)
    inherited = str(Path(__file__).resolve().parent / "inherited")
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (inherited, before)))
    os.environ["TARTAN_FAKE_CUDA"] = library
    sys.path[0] = str(Path(__file__).resolve().parents[2])
    from tartan.testing.fake_cuda.stand_ins import install  # noqa: PLC0415  (imports torch)

    install()
    sys.argv = [module, *arguments]
    code: object = 0
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)  # nothing to tear down


if __name__ == "__main__":
    main(*sys.argv[1:])
