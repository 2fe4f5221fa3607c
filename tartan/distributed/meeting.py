"""Where processes meet: each finds the others, or says in one line which of them did not come."""

import os
import time
from collections.abc import Sequence
from datetime import timedelta

from torch._C._distributed_c10d import PrefixStore, Store, TCPStore

from tartan.distributed.place import Place
from tartan.errors import ConfigError, PeerError, first_line

LIMIT = timedelta(minutes=10)
"""How long processes wait for the others to start."""
NOTICED = 1.0
"""Seconds that rank 0 keeps its store after a failure to meet, so that the others read of it."""
ABSENT = "absent"
SHOWN = 8
"""The most processes that a message names."""


def meet(place: Place) -> Store:
    """Return the store of all processes, once each of them has reached it.

    Raises:
        ConfigError: one did not in time, or this one cannot reach the others.
        PeerError: likewise; another process reports it.
    """
    hosts = place.rank == 0 and not place.served
    where = f"{place.address}:{place.port}"
    try:
        served = TCPStore(
            place.address, place.port, place.size, hosts, LIMIT, wait_for_workers=False
        )
        store = PrefixStore(f"tartan/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", served)
        _arrive(store, place, where)
    except RuntimeError as error:
        reason = first_line(error)
        does = "listen" if hosts else "reach the launcher" if place.served else "reach rank 0"
        raise ConfigError(
            f"rank {place.rank} of {place.size} cannot {does} at {where} ({reason}): start "
            f"{place.size} processes, and check MASTER_ADDR and MASTER_PORT"
        ) from error
    except (ConfigError, PeerError):
        if hosts:
            time.sleep(NOTICED)
        raise
    return store


def _arrive(store: Store, place: Place, where: str) -> None:
    """Wait for all processes; the first one that has waited too long reports who is missing."""
    arrived = [f"arrived/{rank}" for rank in range(place.size)]
    store.set(arrived[place.rank], "")
    until = time.monotonic() + LIMIT.total_seconds()
    while not store.check(arrived):
        late = time.monotonic() > until
        if late and store.compare_set(ABSENT, "", str(place.rank)) == str(place.rank).encode():
            missing = [rank for rank, key in enumerate(arrived) if not store.check([key])]
            raise ConfigError(
                f"{_named(missing)} of {place.size} did not arrive at {where} within "
                f"{LIMIT.total_seconds():g} s: start {place.size} processes that can reach it"
            )
        if late or store.check([ABSENT]):
            raise PeerError(2)
        time.sleep(0.1)


def _named(ranks: Sequence[int]) -> str:
    """Return the name of one or several processes in a message."""
    listed = ", ".join(map(str, ranks[:SHOWN]))
    more = f" and {len(ranks) - SHOWN} others" if len(ranks) > SHOWN else ""
    return f"rank{'s' * (len(ranks) > 1)} {listed}{more}"
