"""The setting of a measurement: model, task, batch size, device."""

import argparse
from dataclasses import asdict, dataclass
from typing import Any, Self

from benchmarks.models import SIZES
from tartan.train.runtime import PRECISIONS


@dataclass(frozen=True)
class Setting:
    """The model and data that every side trains, and how.

    Attributes:
        model: a Hugging Face directory, an id on the hub, or a name of `SIZES`: random weights.
        data: `demo`, or a directory with train.jsonl, dev.jsonl and test.jsonl.
        words: of each text of the demo; None for what the demo has by itself.
        batch: rows of each objective in a step.
        length: the longest sequence, in tokens.
        objectives: how many train together, the primary included, on sides of "n objectives".
        weighting: TorchJD's method on sides of the Gramian: `mgda` for `torchjd_mgda`.
        device: `auto`, or a torch device.
        precision: `auto`, `fp32` or `bf16`; of every side but the plain loop.
        plain_precision: the plain loop's; the released code computes in fp32.
        seed: all random choices follow from it.
    """

    model: str = "tiny"
    data: str = "demo"
    words: int | None = None
    batch: int = 32
    length: int = 128
    objectives: int = 4
    weighting: str = "mgda"
    device: str = "auto"
    precision: str = "auto"
    plain_precision: str = "fp32"
    seed: int = 0

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> Self:
        """Return the setting of a parsed command line."""
        return cls(**{name: getattr(arguments, name) for name in cls.__dataclass_fields__})

    def as_dict(self) -> dict[str, Any]:
        """Return the setting as JSON."""
        return asdict(self)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a `Setting` to a command line."""
    default = Setting()
    sizes = ", ".join(SIZES)
    parser.add_argument(
        "--model",
        default=default.model,
        help=f"a Hugging Face directory or hub id, or random weights of a size: {sizes}",
    )
    parser.add_argument(
        "--data", default=default.data, help="demo, or a directory of train, dev and test.jsonl"
    )
    parser.add_argument("--words", type=count, help="of each text of the demo")
    parser.add_argument("--batch", type=count, default=default.batch, help="rows an objective")
    parser.add_argument("--length", type=count, default=default.length, help="tokens at most")
    parser.add_argument(
        "--objectives", type=count, default=default.objectives, help="n, of sides that have n"
    )
    parser.add_argument(
        "--weighting", default=default.weighting, help="TorchJD's method on sides of the Gramian"
    )
    parser.add_argument("--device", default=default.device, help="auto, cpu, cuda")
    parser.add_argument("--precision", choices=PRECISIONS, default=default.precision)
    parser.add_argument(
        "--plain-precision", choices=PRECISIONS, default=default.plain_precision,
        help="of the plain loop",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=default.seed)


def count(text: str) -> int:
    """Parse an option that is a count."""
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}: give a whole number of at least 1")
    return number
