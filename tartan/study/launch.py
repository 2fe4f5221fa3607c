"""Run a study through Hydra's launcher: one run after another, over cores, or over a cluster."""

import os
import signal
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins as HydraPlugins
from hydra.errors import HydraException
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from tartan.config.composer import composing
from tartan.config.explain import one_line
from tartan.config.hydra_files import hydra_files
from tartan.config.values import written
from tartan.errors import ConfigError, TartanError, suggest, with_type
from tartan.experiment.lock import holder
from tartan.report.record import SUMMARY, read_json
from tartan.stdio import lossy
from tartan.study import child, worker
from tartan.study.command_line import Typed
from tartan.study.environments import environments
from tartan.study.job import Job, record_failure
from tartan.study.process import WorkError, apart
from tartan.train.interrupt import Interrupts

LOCAL = ("basic", "joblib", "submitit_local")
"""Launchers that run on this machine."""
PACKAGES = {
    "joblib": "hydra-joblib-launcher",
    "submitit_local": "hydra-submitit-launcher",
    "submitit_slurm": "hydra-submitit-launcher",
}
"""Launchers that are separate packages, and the packages."""
STOPPING = ".stopping"
"""File in a study's directory while its runs stop because of a signal: no other one starts."""


def check_launcher(typed: Typed) -> bool:
    """Return whether the chosen launcher uses other machines. ConfigError if it is not available.

    Args:
        typed: the study's command line.
    """
    with composing():
        loader = GlobalHydra.instance().config_loader()
        known = loader.get_group_options("hydra/launcher")
        for text in typed.hydra:
            name = text.removeprefix("hydra/launcher=")
            if name == text or name in known:
                continue
            if name in PACKAGES:
                raise ConfigError(f"{text} is not installed: pip install {PACKAGES[name]}")
            raise ConfigError(f"{text}: no such launcher; {suggest(name, {*known, *PACKAGES})}")
        return _chosen(_settings(typed, Path("study"))) not in LOCAL


def launch(jobs: Sequence[Job], typed: Typed, study: Path, processes: int = 1) -> dict[str, str]:
    """Run jobs, each on some processes, and return why jobs failed, by their place.

    A job that fails does not stop the others.

    Raises:
        TartanError: the launcher itself failed.
        Interrupted: a signal came. The runs on this machine have saved their last step.
    """
    with composing():
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        settings = _settings(typed, study)
        HydraConfig.instance().set_config(settings)
        launcher = HydraPlugins.instance().instantiate_launcher(
            hydra_context=HydraContext(hydra.config_loader, _callbacks(settings)),
            task_function=_Task(len(jobs), os.getpid(), socket.gethostname(), processes),
            config=settings,
        )
        overrides = [[*job.overrides, f"hydra.sweep.subdir={written(job.place)}"] for job in jobs]
        try:
            (study / STOPPING).unlink(missing_ok=True)
            with Interrupts(ahead=partial(_stop, jobs, study)):
                returned = launcher.launch(overrides, initial_job_idx=0)
        except Exception as error:  # launchers are other packages: any exception is possible
            raise TartanError(
                f"hydra/launcher={_chosen(settings)} failed: {with_type(error)}; give the same "
                "command to resume"
            ) from error
        finally:
            with suppress(OSError):
                (study / STOPPING).unlink(missing_ok=True)
    failed: dict[str, str] = {}
    for job, one in zip(jobs, returned, strict=True):
        try:
            reason = one.return_value
        except Exception as error:
            reason = with_type(error)
        if reason:
            failed[job.place] = reason
    return failed


def _stop(jobs: Sequence[Job], study: Path) -> None:
    """Pass a signal on to the runs of jobs on this machine, and wait until they have stopped.

    A launcher with workers kills them, and their runs, when it is interrupted; until then it would
    start further ones.
    """
    with suppress(OSError):
        (study / STOPPING).touch()
    runs = {job.directory: pid for job in jobs if (pid := holder(job.directory))}
    for pid in runs.values():
        with suppress(OSError):
            os.kill(pid, signal.SIGTERM)
    while any(holder(directory) == pid for directory, pid in runs.items()):
        time.sleep(0.1)


@dataclass(frozen=True)
class _Task:
    """The function that the launcher calls for each job, here, in a process or on another machine.

    Attributes:
        count: how many jobs there are.
        pid: the study's process.
        host: the study's machine.
        processes: of each run.
    """

    count: int
    pid: int
    host: str
    processes: int

    def __call__(self, composed: DictConfig) -> str | None:
        """Run one job, and return why it failed; None if it did not."""
        with lossy():  # a launcher's worker has standard streams of its own
            return self._run(composed)

    def _run(self, composed: DictConfig) -> str | None:
        here = socket.gethostname() == self.host
        if here and os.getppid() == self.pid != os.getpid():
            child.die_with_parent(self.pid)
        settings = HydraConfig.get()
        directory = Path(settings.runtime.output_dir)
        stopping = Path(settings.sweep.dir) / STOPPING
        if here and stopping.exists():
            return "the study was stopped"
        name = f"{directory.parent.name} seed {composed.seed}"
        shown = f"[{settings.job.num + 1}/{self.count}] {name}"
        record_failure(directory, None)
        print(f"{shown}: started", flush=True)
        files = {key: OmegaConf.to_yaml(OmegaConf.create(v)) for key, v in hydra_files().items()}
        try:
            with environments(self.processes) as variables:
                apart(
                    worker.run_one,
                    OmegaConf.to_yaml(composed),
                    str(directory),
                    files,
                    log=directory.with_suffix(".log"),
                    environments=variables,
                )
        except WorkError as error:
            with suppress(OSError):  # the directory is kept if anything was written
                directory.rmdir()
            stopped = here and stopping.exists()
            record_failure(directory, None if stopped else str(error))
            print(f"{shown}: {'stopped' if stopped else f'failed: {error}'}", flush=True)
            return str(error)
        print(f"{shown}: {_scores(read_json(directory / SUMMARY) or {})}", flush=True)
        return None


def _settings(typed: Typed, study: Path) -> DictConfig:
    """Return Hydra's configuration of several runs. ConfigError if an override is not valid."""
    hydra = GlobalHydra.instance().hydra
    assert hydra is not None
    overrides = [*typed.searchpath, *typed.hydra, f"hydra.sweep.dir={written(str(study))}"]
    try:
        return hydra.compose_config("config", overrides, run_mode=RunMode.MULTIRUN)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(one_line(error)) from error


def _chosen(settings: DictConfig) -> str:
    """Return the launcher's name."""
    return str(settings.hydra.runtime.choices["hydra/launcher"])


def _callbacks(settings: DictConfig) -> Any:
    """Return Hydra's callbacks, as its configuration has them."""
    from hydra._internal.callbacks import Callbacks  # noqa: PLC0415 - Hydra offers no other door

    return Callbacks(settings)


def _scores(summary: Mapping[str, Any]) -> str:
    """Return the scores of a finished run in a line."""
    scores = [f"dev {name} {value:.4f}" for name, value in summary["dev"].items()]
    return f"{', '.join(scores)}, {summary['seconds']:.0f} s"
