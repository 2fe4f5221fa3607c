"""Join the other processes of a launcher: once, for as long as this process runs."""

import atexit
import os
import resource
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from datetime import timedelta
from functools import cache

from torch import distributed
from torch.distributed.distributed_c10d import _set_pg_timeout

from tartan.distributed.failure import FOREVER, Failure, Watch
from tartan.distributed.gpus import check_apart, take_gpu
from tartan.distributed.group import Group
from tartan.distributed.meeting import LIMIT, meet
from tartan.distributed.place import Place, find_place
from tartan.distributed.ranks import Ranks
from tartan.errors import ConfigError, Interrupted, PeerError, TartanError, first_line

CAUSE = 5.0
"""Seconds in which an exception may turn out to be the consequence of another process's failure."""
ANNOUNCED = 10.0
"""Seconds that a process waits for the failure that it knows another one to have."""
STEP = timedelta(minutes=30)
"""How long a process waits for the others in a step: a process that ends is noticed at once."""


@contextmanager
def joined(device: str) -> Iterator[Ranks]:
    """Join the other processes that a launcher started, if any; a failure of one ends all.

    In ranks other than 0, standard output goes nowhere.

    Args:
        device: the option `device`.

    Raises:
        ConfigError: the launcher's environment variables are not valid.
        PeerError: another process has failed, and reports it.
    """
    place = find_place()
    if place is None:
        yield Ranks()
        return
    met, watch = _join(place, take_gpu(place, device))
    if failed := watch.failure(0):  # a script caught the error of an earlier run: all end by it
        raise PeerError(failed.status)
    group = met.fresh()
    with open(os.devnull, "w", encoding="utf-8") as nowhere:  # noqa: PTH123 - not a file
        try:
            if group.first:
                yield group
            else:
                with redirect_stdout(nowhere):
                    yield group
            group.wait()
        except BaseException as error:
            _fail(error, group, watch)
            raise


@contextmanager
def leaving() -> Iterator[None]:
    """Through a command, be one of the launcher's processes: one reports, and all end alike.

    Before they have met, the first on each machine reports: the machines may differ.
    """
    place = find_place()
    if place is None:
        yield
        return
    try:
        yield
        _leave()
    except SystemExit as ended:
        _end(int(ended.code or 0))
    except TartanError as error:
        if place.rank == 0 or (place.local == 0 and not isinstance(error, PeerError)):
            raise
        _end(2)


def _leave() -> None:
    """Take leave of the other processes, if this one has met them."""
    with suppress(RuntimeError):  # another process was killed now that all is done
        for group, watch in _JOINED:
            group.wait()
            watch.close()
            group.wait()
        if _JOINED:
            _JOINED.clear()
            distributed.destroy_process_group()


@atexit.register
def _leave_at_exit() -> None:
    """Take leave where a program ends that has called `joined` without `leaving`."""
    for group, watch in _JOINED:
        if failed := watch.failure(0):
            _end(failed.status)
        if getattr(sys, "last_value", None) is not None:  # it ends by an error of its own
            _end(watch.announce(Failure(group.rank, 1)).status)
    _leave()
    for _, watch in _JOINED:  # still, as a process was killed
        failed = watch.failure(ANNOUNCED)
        _end(failed.status if failed else 1)


def _end(status: int) -> None:
    """End this process. Threads that wait for messages would abort an interpreter that ends."""
    if status == 0:
        _leave()
    for group, watch in _JOINED:
        if status and group.first:
            watch.linger()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


_JOINED: list[tuple[Group, Watch]] = []
"""What `_join` has returned, until the processes have taken leave."""


def _fail(error: BaseException, group: Group, watch: Watch) -> None:
    """Announce a failure of this process. PeerError if it was another that failed first."""
    if isinstance(error, PeerError):  # to end now would look like a failure of this process
        known = watch.failure(ANNOUNCED)
        raise error if known is None else PeerError(known.status) from error
    # A plugin's error is raised again as one that names the plugin.
    common = group.common is not None and group.common in (error, error.__cause__)
    wait = 0.0 if common or isinstance(error, TartanError) else CAUSE
    known = watch.failure(1.0 if isinstance(error, Interrupted) else wait)
    if known is None:
        mine = Failure(group.rank, _status(error))
        known = watch.announce(mine)
        if known == mine:
            if not common and not isinstance(error, Interrupted):
                error.add_note(f"this was {group.names[group.rank]}")
            return
    raise PeerError(known.status) from error


def _status(error: BaseException) -> int:
    """Return the exit status of all processes after an error."""
    if isinstance(error, Interrupted):
        return error.status
    return 2 if isinstance(error, TartanError) else 1


@cache
def _join(place: Place, gpu: str | None) -> tuple[Group, Watch]:
    """Meet the other processes; the group and its watch."""
    if _JOINED:
        raise ConfigError("device: all runs of a program that a launcher starts have the same one")
    _raise_limit_of_files(place.size)
    store = meet(place)
    backend = "gloo" if gpu is None else "cpu:gloo,cuda:nccl"
    name = f"rank {place.rank} of {place.size} (process {os.getpid()} on {socket.gethostname()})"
    try:
        distributed.init_process_group(
            backend, store=store, rank=place.rank, world_size=place.size, timeout=STEP
        )
        host, watched = (distributed.new_group(backend="gloo", timeout=LIMIT) for _ in range(2))
        every: list[tuple[str, str | None]] = [("", None)] * place.size
        distributed.all_gather_object(every, (name, gpu), host)
    except RuntimeError as error:
        reason = first_line(error)
        raise ConfigError(f"{name} lost the others as they met ({reason}): start again") from error
    names = [name for name, _ in every]
    check_apart(place, [gpu for _, gpu in every if gpu is not None])
    for waits in (host, watched):
        _set_pg_timeout(FOREVER, waits)
    keeper = "the launcher" if place.served else names[0]
    watch = Watch(store, watched, place.rank, place.size, names, keeper)
    group = Group(place, host, names, watch)
    _JOINED.append((group, watch))
    return group, watch


def _raise_limit_of_files(size: int) -> None:
    """Allow as many open files as connections to all other processes need, if the system does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 1024 + 4 * size
    if soft < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
