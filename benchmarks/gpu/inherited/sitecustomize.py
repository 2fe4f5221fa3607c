"""Loads the fake CUDA device in processes that train, where `on_fake.py` has started their parent.

Python imports a module of this name when it starts. torch is imported here, so processes that do
something else are left alone.
"""

import ctypes
import os
import sys

WORKERS = ("multiprocessing.forkserver", "joblib.externals.loky.backend.popen")
"""In the command lines of the processes in which `python -m tartan` trains."""

library, command = os.environ.get("TARTAN_FAKE_CUDA"), " ".join(sys.orig_argv)
trains = "tartan" in sys.orig_argv or any(name in command for name in WORKERS)
if library and trains:
    ctypes.CDLL(library, mode=ctypes.RTLD_GLOBAL)
    from tartan.testing.fake_cuda.stand_ins import install

    install()
