"""`python -m benchmarks.gpu.launches`: kernel launches and waits of a step, without a GPU.

Steps run on the fake CUDA device of `tartan.testing.fake_cuda`, with RoBERTa-base's twelve layers
but narrow ones: launches do not depend on the width, except those of operators over all parameters
at once (optimiser, norms, products), which take a few more at full width.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.experiment import experiment, with_model
from benchmarks.models import SIZES, Size
from benchmarks.setting import Setting
from tartan.testing.fake_cuda import FakeDevice, recorded
from tartan.train.stage import Stage

NARROW = Size("roberta", 4_000, 32, 12, 4, 64)
KINDS: Mapping[str, Sequence[str]] = {
    "static": ["weighting=static"],
    "meta": ["weighting=meta"],
}
WARM, MEASURED = 1, 2


@dataclass(frozen=True)
class Counted:
    """What a step does on the device.

    Attributes:
        launches: kernel launches of a step.
        waits: how often the host waits in a step.
        places: where it waits.
        operators: launches by operator, most first.
    """

    launches: float
    waits: float
    places: tuple[str, ...]
    operators: tuple[tuple[str, float], ...]


def count(kind: str, batch: int, length: int, words: int | None) -> Counted:
    """Count what a step of a kind does. Run it on the fake device."""
    SIZES["narrow"] = NARROW  # type: ignore[index]
    setting = Setting(
        model="narrow", batch=batch, length=length, words=words, device="cuda", precision="bf16"
    )
    with with_model(setting) as made:
        built = experiment(made, 1, *KINDS[kind])
        stage = Stage(built.setup, next(iter(built.stages.values())))
        for step in range(WARM):
            stage.take(step)
        with recorded() as record:
            for step in range(WARM, WARM + MEASURED):
                stage.take(step)
    return Counted(
        record.launched / MEASURED,
        record.waits.total() / MEASURED,
        tuple(sorted(record.places())),
        tuple((name, n / MEASURED) for name, n in record.launches.most_common()),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line for each kind of step; with --operators, also what it launches."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu.launches", description=__doc__)
    parser.add_argument("--batch", type=int, default=16, help="rows an objective")
    parser.add_argument("--length", type=int, default=64, help="tokens at most")
    parser.add_argument("--words", type=int, help="of each text; varied if not given")
    parser.add_argument("--operators", type=int, default=0, help="how many to list")
    options = parser.parse_args(arguments)
    from benchmarks.gpu import launches  # noqa: PLC0415  (functions of __main__ cannot be sent)

    with FakeDevice() as device:
        for kind in KINDS:
            found = device.call(launches.count, kind, options.batch, options.length, options.words)
            where = ", ".join(found.places)
            print(f"{kind}: {found.launches:.0f} launches, {found.waits:.1f} waits ({where})")
            for name, times in found.operators[: options.operators]:
                print(f"    {times:6.0f} {name}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
