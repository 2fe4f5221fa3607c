"""Processes that do not all start end in one line, and do not wait for long."""

import re
import socket
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from multiprocessing import get_context

import pytest

from support.ranks import free_port
from tartan.distributed import meeting
from tartan.distributed.place import Place
from tartan.errors import PeerError


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meeting, "LIMIT", timedelta(seconds=2))


def come(rank: int, size: int, port: int) -> None:
    """Meet the others, in a process of its own."""
    meeting.meet(Place(rank, size, rank, size, "127.0.0.1", port, served=False))


def told(ranks: Sequence[int], size: int, port: int) -> tuple[list[str], list[BaseException]]:
    """What some of the processes report, and the errors of those that leave it to another."""
    with ProcessPoolExecutor(len(ranks), get_context("fork")) as pool:
        asked = [pool.submit(come, rank, size, port) for rank in ranks]
        found = [error for each in asked if (error := each.exception()) is not None]
    silent = [error for error in found if isinstance(error, PeerError)]
    return [str(error) for error in found if error not in silent], silent


def test_a_process_that_does_not_arrive_is_named_once():
    port = free_port()
    reported, silent = told([0, 1], 4, port)
    assert reported == [
        f"ranks 2, 3 of 4 did not arrive at 127.0.0.1:{port} within 2 s: start 4 processes that "
        "can reach it"
    ]
    assert len(silent) == 1


def test_a_process_without_rank_0_says_where_it_looked_for_it():
    port = free_port()
    (line,), _ = told([1], 2, port)
    assert re.fullmatch(
        rf"rank 1 of 2 cannot reach rank 0 at 127\.0\.0\.1:{port} \(.+\): start 2 processes, and "
        "check MASTER_ADDR and MASTER_PORT",
        line,
    )


def test_rank_0_names_a_port_that_another_program_uses():
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        (line,), _ = told([0], 2, port)
    assert line.startswith(f"rank 0 of 2 cannot listen at 127.0.0.1:{port} (")
