"""The place of a process follows from the variables of torchrun, accelerate and SLURM's srun."""

import re

import pytest

from tartan.distributed.place import Place, find_place, first_node, start_again
from tartan.errors import ConfigError

TORCHRUN = {
    "RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4",
    "MASTER_ADDR": "node0", "MASTER_PORT": "29500", "TORCHELASTIC_USE_AGENT_STORE": "True",
}  # fmt: skip
SRUN = {
    "SLURM_JOB_ID": "7", "SLURM_STEP_ID": "3", "SLURM_STEP_NUM_TASKS": "8", "SLURM_PROCID": "5",
    "SLURM_LOCALID": "1", "SLURM_STEP_TASKS_PER_NODE": "4(x2)", "SLURM_STEP_NODELIST": "gpu[03-04]",
}  # fmt: skip


def test_torchrun_and_accelerate_say_everything():
    assert find_place(TORCHRUN) == Place(5, 8, 1, 4, "node0", 29500, served=True)


def test_a_step_of_slurm_meets_at_its_first_host_and_a_port_of_its_own():
    assert find_place(SRUN) == Place(5, 8, 1, 4, "gpu03", 20073, served=False)
    other = find_place({**SRUN, "SLURM_STEP_ID": "4"})
    assert other is not None
    assert other.port == 20074
    given = find_place({**SRUN, "MASTER_ADDR": "node0", "MASTER_PORT": "29500"})
    assert given == Place(5, 8, 1, 4, "node0", 29500, served=False)


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {**TORCHRUN, "RANK": "0", "WORLD_SIZE": "1"},
        {**SRUN, "SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1"},
        {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "8"},  # a batch script, outside of srun
        {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"},  # accelerate without a GPU
    ],
)
def test_a_process_that_was_started_alone_has_no_place(environment: dict[str, str]):
    assert find_place(environment) is None


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        (
            {"RANK": "0", "WORLD_SIZE": "2"},
            "the launcher's environment variables are not valid: RANK is set and MASTER_ADDR is "
            "not; unset it, or use a launcher",
        ),
        ({**TORCHRUN, "RANK": "8"}, "RANK=8 is not below WORLD_SIZE=8"),
    ],
)
def test_contradictions_are_refused(environment: dict[str, str], said: str):
    with pytest.raises(ConfigError, match=f"^{re.escape(said)}$"):
        find_place(environment)


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("gpu[03-05,09],login1", "gpu03"),
        ("a1,a2", "a1"),
        ("n[1,7]", "n1"),
        ("r[1-2]n[3-4]", "r1n3"),
        ("cn-[1,3]-ib", "cn-1-ib"),
        ("login-1.example,cn-[2,3]", "login-1.example"),
    ],
)
def test_the_first_host_of_a_node_list(nodes: str, first: str):
    assert first_node(nodes) == first


def test_what_starts_as_many_processes_again():
    """A command that can be typed where torchrun started all of them, on this machine."""
    elastic = {**TORCHRUN, "TORCHELASTIC_RUN_ID": "none"}
    here = find_place({**elastic, "LOCAL_WORLD_SIZE": "8"})
    assert start_again(here, elastic) == ("", ["torchrun", "--nproc-per-node=8"])
    others = " on 8 processes, with the same launcher", ["python"]
    assert start_again(find_place(elastic), elastic) == others
    assert start_again(find_place(TORCHRUN), TORCHRUN) == others
    assert start_again(None, elastic) == ("", ["python"])
