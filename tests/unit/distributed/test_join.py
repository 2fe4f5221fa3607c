import os
import re
import subprocess
import sys

import pytest

from support.ranks import free_port

PROGRAM = """
import os, sys, time
from tartan.distributed.join import joined
children = []
for rank in range(2):
    if child := os.fork():
        children.append(child)
        continue
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank))
    with joined("cpu") as ranks:
        ranks.wait()
    if rank:
        time.sleep(4)
        {last}
    sys.exit()
print([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children])
"""
"""Processes whose interpreters end by themselves, unlike those of the command line."""


@pytest.mark.parametrize(
    ("last", "statuses", "said"),
    [
        ("print('done')", "done\n[0, 0]\n", ""),
        (
            "os.kill(os.getpid(), 9)",
            "[1, -9]\n",
            r"tartan: rank 1 of 2 \(process \d+ on \S+\) was killed or crashed; the others ended\. "
            r"What was saved before is kept: give the same command to resume\n",
        ),
    ],
    ids=["done", "killed"],
)
def test_a_program_that_ends_waits_for_the_other_processes(last: str, statuses: str, said: str):
    place = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(last=last)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **place},
    )
    assert found.stdout == statuses, found.stderr
    assert re.fullmatch(said, found.stderr), found.stderr
