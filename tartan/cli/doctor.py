"""`python -m tartan doctor`: versions, device, what is missing, how fast a step is here and why."""

import os
import platform
import statistics
import time
from collections.abc import Iterator, Sequence
from importlib import metadata

import psutil
import torch

from tartan.cli.openmp import DECIDED
from tartan.config.compose_run import compose_run
from tartan.config.parse import parse
from tartan.errors import ConfigError
from tartan.experiment.build import build
from tartan.experiment.overview import device
from tartan.plugins import discover
from tartan.sizes import amount
from tartan.train.runtime import Runtime
from tartan.train.stage import Stage

PACKAGES = ("tartan", "torch", "transformers", "datasets", "hydra-core", "accelerate")
STEPS = 20
BUSY = 0.25
"""Cores that other programs use, from which on they are reported."""


def main(arguments: Sequence[str]) -> int:
    """Print what a run finds on this machine. ConfigError where there are arguments."""
    if arguments:
        raise ConfigError(f"doctor takes no arguments, got '{arguments[0]}'")
    for name, value in report():
        print(f"{name:10}  {value}", flush=True)
    for problem in discover().problems:
        print(f"{'problem':10}  {problem}")
    return 0


def report() -> Iterator[tuple[str, str]]:
    """Return what there is, line by line, as names and values."""
    installed = ", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES)
    yield "versions", f"python {platform.python_version()}, {installed}"
    runtime = Runtime.choose()
    yield "device", f"{device(runtime)}: what device=auto and precision=auto choose"
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    memory = psutil.virtual_memory()
    yield (
        "machine",
        (
            f"{cores} cores for this process, {amount(memory.available)} of {amount(memory.total)} "
            "memory free"
        ),
    )
    yield "threads", _threads(cores)
    yield "others", _others(cores)
    yield "extras", _extras()
    yield "step", _step()


def _threads(cores: int) -> str:
    """Return how many threads compute, and how they wait."""
    set_by = [f"{name}={os.environ[name]}" for name in DECIDED if name in os.environ]
    count = torch.get_num_threads()
    more = f"; more than {cores} cores: set OMP_NUM_THREADS={cores}" if count > cores else ""
    return f"{count} of OpenMP ({', '.join(set_by)}){more}"


def _others(cores: int) -> str:
    """Return how many cores other programs use now."""
    before = psutil.Process().cpu_times()
    began = time.perf_counter()
    share = psutil.cpu_percent(interval=0.5)
    spent = time.perf_counter() - began
    after = psutil.Process().cpu_times()
    own = (after.user + after.system - before.user - before.system) / spent
    used = max(0.0, share / 100 * (psutil.cpu_count() or 1) - own)
    if used < BUSY:
        return "no other program uses the processor"
    load, fewer = os.getloadavg()[0], max(1, cores - round(used))
    return (
        f"other programs use {used:.1f} cores of {psutil.cpu_count()}, load {load:.1f}: steps on "
        f"the CPU are slower; OMP_NUM_THREADS={fewer} may help"
    )


def _extras() -> str:
    """Return which optional packages are not installed, and how to install them."""
    missing: dict[str, list[str]] = {}
    for text in metadata.requires("tartan") or ():
        requirement, _, marker = text.partition(";")
        name = requirement.split("[")[0].split(">")[0].split("<")[0].split("=")[0].strip()
        extra = marker.partition("extra ==")[2].strip(" \"'")
        if extra in ("", "dev", "docs"):
            continue
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            missing.setdefault(extra, []).append(name)
    if not missing:
        return "all installed"
    lines = (f"{extra} ({', '.join(names)})" for extra, names in missing.items())
    return f"not installed: {'; '.join(lines)}: pip install 'tartan[NAME]' if you need them"


def _step() -> str:
    """Return how long a step takes of the demo with META, in each precision that is usual here."""
    runtime = Runtime.choose()
    precisions = ["fp32", "bf16"] if runtime.precision == "bf16" else ["fp32"]
    said = []
    for precision in precisions:
        options = ["objectives=[mlm]", "weighting=meta", f"precision={precision}", "cache=false"]
        experiment = build(parse(compose_run(options).config), discover())
        stage = Stage(experiment.setup, next(iter(experiment.stages.values())))
        seconds = []
        for step in range(STEPS):
            began = time.perf_counter()
            stage.take(step)
            if runtime.device.type == "cuda":
                torch.cuda.synchronize()
            seconds.append(time.perf_counter() - began)
        said.append(f"{statistics.median(seconds[STEPS // 4 :]) * 1000:.0f} ms in {precision}")
    return f"the demo with weighting=meta, {' and '.join(said)}"
