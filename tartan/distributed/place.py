"""The place of this process among those that a launcher started, by its environment variables."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from tartan.errors import ConfigError

TORCH = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""What torchrun, accelerate and submitit's helper set."""
FIRST_PORT, PORTS = 20_000, 20_000
"""Ports of SLURM jobs, whose steps have no variable for it."""


@dataclass(frozen=True)
class Place:
    """The place of a process.

    Attributes:
        rank: its number, from 0.
        size: how many processes there are.
        local: its number on its machine.
        local_size: how many processes are on its machine.
        address: host name or address of the machine of rank 0.
        port: the port at which all meet.
        served: whether the launcher itself answers at that port, instead of rank 0.
    """

    rank: int
    size: int
    local: int
    local_size: int
    address: str
    port: int
    served: bool


def find_place(environment: Mapping[str, str] = os.environ) -> Place | None:
    """Return the place of this process; None if it was started by itself.

    Args:
        environment: the environment variables: those of torchrun, or of a SLURM step (srun).

    Raises:
        ConfigError: they contradict each other.
    """
    try:
        found = _of_torch(environment) or _of_slurm(environment)
    except ValueError as error:
        raise ConfigError(f"the launcher's environment variables are not valid: {error}") from error
    if found is None or found.size == 1:
        return None
    if not 0 <= found.rank < found.size:
        raise ConfigError(f"RANK={found.rank} is not below WORLD_SIZE={found.size}")
    return found


def _of_torch(environment: Mapping[str, str]) -> Place | None:
    """Return the place by torchrun's variables; None if there are none."""
    if "RANK" not in environment and "WORLD_SIZE" not in environment:
        return None
    if missing := [name for name in TORCH if name not in environment]:
        given = next(name for name in TORCH if name in environment)
        raise ValueError(f"{given} is set and {missing[0]} is not; unset it, or use a launcher")
    rank = int(environment["RANK"])
    return Place(
        rank,
        int(environment["WORLD_SIZE"]),
        int(environment.get("LOCAL_RANK", rank)),
        int(environment.get("LOCAL_WORLD_SIZE", environment["WORLD_SIZE"])),
        environment["MASTER_ADDR"],
        int(environment["MASTER_PORT"]),
        environment.get("TORCHELASTIC_USE_AGENT_STORE") == "True",
    )


def _of_slurm(environment: Mapping[str, str]) -> Place | None:
    """Return the place in a SLURM step (srun); None outside of one."""
    size, nodes = environment.get("SLURM_STEP_NUM_TASKS"), environment.get("SLURM_STEP_NODELIST")
    if size is None or nodes is None or "SLURM_PROCID" not in environment:
        return None
    step = f"{environment.get('SLURM_JOB_ID', '0')}{environment.get('SLURM_STEP_ID', '0')}"
    return Place(
        int(environment["SLURM_PROCID"]),
        int(size),
        int(environment.get("SLURM_LOCALID", 0)),
        _first_number(environment.get("SLURM_STEP_TASKS_PER_NODE", size)),
        environment.get("MASTER_ADDR") or first_node(nodes),
        int(environment.get("MASTER_PORT") or FIRST_PORT + int(step) % PORTS),
        served=False,
    )


def _first_number(text: str) -> int:
    """Return the number that a text begins with: 4 of `4(x2)`, 4 tasks on each of 2 nodes."""
    found = re.match(r"\d+", text)
    if found is None:
        raise ValueError(f"SLURM_STEP_TASKS_PER_NODE={text} is not a number of tasks")
    return int(found[0])


def first_node(nodes: str) -> str:
    """Return the first host of a SLURM node list.

    >>> first_node("gpu[03-05,09],login1")
    'gpu03'
    >>> first_node("rack[1-2]node[3-4]-ib")
    'rack1node3-ib'
    """
    found = re.match(r"(?:\[\w+[^\]]*\]|[^\[\],])+", nodes)
    if found is None:
        raise ValueError(f"SLURM_STEP_NODELIST={nodes} names no host")
    return re.sub(r"\[(\w+)[^\]]*\]", r"\1", found[0])


def start_again(
    place: Place | None, environment: Mapping[str, str] = os.environ
) -> tuple[str, list[str]]:
    """Return how to start as many processes of `-m MODULE` as now.

    Args:
        place: this process's.
        environment: the environment variables, by which torchrun is recognised.

    Returns:
        What to do besides, for a sentence; and the words of the command before `-m`.
    """
    if place is None:
        return "", ["python"]
    if "TORCHELASTIC_RUN_ID" in environment and place.local_size == place.size:
        return "", ["torchrun", f"--nproc-per-node={place.size}"]
    return f" on {place.size} processes, with the same launcher", ["python"]


def reports() -> bool:
    """Return whether this is rank 0, which prints what is the same in all processes."""
    place = find_place()
    return place is None or place.rank == 0
