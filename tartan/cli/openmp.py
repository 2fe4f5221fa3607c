"""How OpenMP's threads wait for each other: briefly, and then asleep.

torch computes on a CPU with OpenMP. A thread that has finished its share waits for the others in a
loop, which takes a core from whatever else runs on the machine, from the other threads of the same
step too. With a shorter loop most steps beside busy programs are faster, and alone about as fast as
before: docs/performance.md has the figures (`python -m benchmarks.waiting`).
"""

import os
import sys
from collections.abc import Mapping, MutableMapping
from types import MappingProxyType

DECIDED = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "KMP_LIBRARY")
"""Environment variables by which a user decides how threads wait."""
BRIEF: Mapping[str, str] = MappingProxyType({"GOMP_SPINCOUNT": "30000"})
"""Rounds of GNU's loop before a thread sleeps. Intel's and LLVM's runtimes were not measured."""


def wait_briefly(environment: MutableMapping[str, str] = os.environ) -> None:
    """Set how OpenMP's threads wait, unless the user has, or torch has already read it.

    Processes that this one starts inherit it.
    """
    if "torch" not in sys.modules and not any(name in environment for name in DECIDED):
        environment.update(BRIEF)
