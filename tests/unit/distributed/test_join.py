import os
import re
import subprocess
import sys

import pytest

from support.ranks import free_port
from tartan import ConfigError
from tartan.distributed import join

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
        time.sleep(2)
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
        ("raise OSError('mine')", "[1, 1]\n", r"\[rank1\]: Traceback[^\0]*OSError: mine\n"),
    ],
    ids=["done", "killed", "failed"],
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


@pytest.mark.parametrize(("local", "raised"), [("0", ConfigError), ("1", SystemExit)])
def test_before_the_processes_have_met_one_on_each_machine_reports(
    monkeypatch: pytest.MonkeyPatch, local: str, raised: type[BaseException]
):
    """A plugin may be missing on one machine alone."""
    place = {"RANK": "4", "LOCAL_RANK": local, "WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4",
             "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}  # fmt: skip
    for name, value in place.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(join, "_end", sys.exit)
    with pytest.raises(raised), join.leaving():
        raise ConfigError("objectives: there is no plugin mine")
