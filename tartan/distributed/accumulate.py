"""The micro-batches of a step, shared evenly among processes."""

from collections.abc import Mapping

from tartan.errors import ConfigError

OFFERED = 3
"""The most choices that a message offers."""


def check_shares(accumulate: int, sizes: Mapping[str, int], processes: int) -> None:
    """Check that each process takes as many micro-batches of a step.

    Args:
        accumulate: micro-batches of each objective in a step.
        sizes: rows of a micro-batch, by the option that sets it.
        processes: how many there are.

    Raises:
        ConfigError: it does not; the message gives values with the same effective batch size.
    """
    if accumulate % processes == 0:
        return
    found = divisions(accumulate, sizes, processes)
    values = [
        " ".join(f"{option}={value}" for option, value in {"accumulate": n, **rows}.items())
        for n, rows in found.items()
    ]
    largest = max(n for n in range(1, processes) if accumulate % n == 0)
    fewer = f"start {largest} process{'es' if largest > 1 else ''}"
    same = f"set {' or '.join(values)} for the same effective batch size, or " if values else ""
    raise ConfigError(
        f"accumulate={accumulate} cannot be divided among {processes} processes: {same}{fewer}"
    )


def divisions(
    accumulate: int, sizes: Mapping[str, int], processes: int
) -> dict[int, dict[str, int]]:
    """Return values of `accumulate` that can be shared, the nearest ones, with sizes of batches.

    Rows of an objective in a step, the product of both, stay the same.

    >>> divisions(1, {"batch_size": 32}, 4)
    {4: {'batch_size': 8}, 8: {'batch_size': 4}, 16: {'batch_size': 2}}
    """
    rows = {option: size * accumulate for option, size in sizes.items()}
    fitting = [
        n
        for n in range(processes, min(rows.values()) + 1, processes)
        if all(count % n == 0 for count in rows.values())
    ]
    nearest = sorted(fitting, key=lambda n: abs(n - accumulate))[:OFFERED]
    return {n: {option: count // n for option, count in rows.items()} for n in sorted(nearest)}
