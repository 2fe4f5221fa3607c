"""`python -m benchmarks.parts`: the gain of parts of tartan's step on a CPU.

Two ways to compute a part take turns in one process; a ratio is the median of the rounds' ratios.
Tests of tartan verify that both give the same, except for rounding and the elements dropped.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.experiment import experiment, with_model
from benchmarks.models import SIZES
from benchmarks.origin import origin
from benchmarks.setting import Setting, count
from benchmarks.tables import parts_page
from tartan.batch import Batch
from tartan.body.kernels.dropout import dropout
from tartan.body.kernels.layout import Layout
from tartan.body.kernels.products import by_products
from tartan.body.kernels.sdpa import by_sdpa
from tartan.packed import Packed
from tartan.seeding import generator
from tartan.shared import Shared
from tartan.train.losses import Losses
from tartan.train.memory import keep_freed_memory
from tartan.train.setup import Setup

Work = Callable[[], object]
TOKENS, SHAPE = 1650, SIZES["small"]
"""As many tokens as 32 texts of ACL-ARC have, and the shape of a small BERT."""


@dataclass(frozen=True)
class Part:
    """A part of a step, computed in two ways.

    Attributes:
        what: the part.
        plain: the way it is computed without tartan, in words.
        own: tartan's, in words.
        ratio: seconds of the plain way over those of tartan's, the median of rounds.
        seconds: of tartan's way, the median of rounds.
    """

    what: str
    plain: str
    own: str
    ratio: float
    seconds: float


def compare(what: str, plain: tuple[str, Work], own: tuple[str, Work], rounds: int) -> Part:
    """Time two ways in turn."""
    spent: list[tuple[float, float]] = []
    for _ in range(rounds + 1):
        times = []
        for _, work in (plain, own):
            began = time.perf_counter()
            work()
            times.append(time.perf_counter() - began)
        spent.append((times[0], times[1]))
    timed = spent[1:]  # the first round warms up
    ratio = median(one / other for one, other in timed)
    return Part(what, plain[0], own[0], ratio, median(other for _, other in timed))


def elements(rounds: int) -> Iterator[Part]:
    """Measure dropout of hidden states, forward and backward."""
    values = torch.randn(TOKENS, SHAPE.hidden, requires_grad=True)

    ways = (functional.dropout, dropout)
    plain, own = (partial(_through, partial(way, p=0.1), (values,)) for way in ways)
    what = f"dropout of {TOKENS:,} x {SHAPE.hidden}"
    yield compare(what, ("torch's", plain), ("SFC64", own), rounds)


def attention(rounds: int) -> Iterator[Part]:
    """Measure attention within sequences of several lengths, forward and backward, in bf16."""
    for lengths, p in product(((48,) * 32, (128,) * 8, tuple(range(16, 112, 3))), (0.1, 0.0)):
        layout, inputs = Layout(lengths, torch.device("cpu")), _states(sum(lengths))
        ways = (partial(way, layout=layout, dropout=p) for way in (by_sdpa, by_products))
        plain, own = (partial(_through, way, inputs) for way in ways)
        between = f"{min(lengths)} to {max(lengths)}" if len({*lengths}) > 1 else f"{lengths[0]}"
        what = f"attention of {len(lengths)} x {between}, bf16, dropout {p:g}"
        yield compare(what, ("torch's", plain), ("products", own), rounds)


def _states(tokens: int) -> tuple[Tensor, ...]:
    """Return query, key and value in bf16, [tokens, heads, head_dim]."""
    shape = tokens, SHAPE.heads, SHAPE.hidden // SHAPE.heads
    return tuple(torch.randn(shape, dtype=torch.bfloat16, requires_grad=True) for _ in range(3))


def _through(function: Callable[..., Tensor], inputs: tuple[Tensor, ...]) -> None:
    """Run a function forward and backward."""
    function(*inputs).sum().backward()


def embeddings(rounds: int) -> Iterator[Part]:
    """Measure the gradient of token embeddings that are tied to a decoder."""
    weight = nn.Parameter(torch.zeros(SHAPE.vocabulary, SHAPE.hidden))
    tokens, shared = torch.randint(SHAPE.vocabulary, (TOKENS,)), Shared([weight])

    def read(sparse: bool) -> None:
        shared.clear()
        (functional.embedding(tokens, weight, sparse=sparse).sum() + weight.sum()).backward()
        shared.take()

    what = f"gradient of {SHAPE.vocabulary:,} embeddings, tied to a decoder"
    yield compare(what, ("dense", partial(read, False)), ("sparse", partial(read, True)), rounds)


def optimiser(rounds: int) -> Iterator[Part]:
    """Measure a step of AdamW over the parameters of a body."""
    with with_model(Setting(model="small")) as setting:
        shapes = [p.shape for p in experiment(setting).setup.model.shared()]

    def over(**options: bool) -> Work:
        parameters = [nn.Parameter(torch.zeros(shape)) for shape in shapes]
        for parameter in parameters:
            parameter.grad = torch.ones_like(parameter)
        return torch.optim.AdamW(parameters, **options).step  # type: ignore[arg-type]

    millions = sum(shape.numel() for shape in shapes) / 1e6
    what = f"AdamW over {millions:.0f} million parameters"
    yield compare(what, ("a loop", over(foreach=False)), ("fused", over(fused=True)), rounds)


def passes(rounds: int) -> Iterator[Part]:
    """Measure the losses of two objectives, forward and backward, with the whole body."""
    for rows in (4, 32):
        with with_model(Setting(model="small", batch=rows)) as setting:
            setup = experiment(setting).setup
        losses = Losses(setup.model.train(), setup.runtime, 0)
        batches = {
            name: setup.model.objective(name).collate(stream.rows(0), generator(0, name))
            for name, stream in setup.streams.items()
        }
        plain, own = (partial(_read, losses, way, batches) for way in ("apart", "together"))
        what = f"two objectives of {rows} rows"
        yield compare(what, ("a pass each", plain), ("one pass", own), rounds)


def _read(losses: Losses, way: str, batches: Mapping[str, Batch]) -> None:
    """Run all objectives forward and backward, by a method of `Losses`."""
    losses.begin()
    pieces = getattr(losses, way)(0, batches)
    torch.stack([piece() for piece in pieces.values()]).sum().backward()


def wanted(rounds: int) -> Iterator[Part]:
    """Measure the body alone, forward and backward, if a loss reads some hidden states only."""
    with with_model(Setting(model="small", words=50)) as setting:
        setup = experiment(setting).setup
    for name in ("classification", "mlm"):
        rows = setup.streams[name].rows(0)
        inputs = setup.model.objective(name).collate(rows, generator(0)).inputs
        assert inputs.wanted is not None
        what = f"the body, {len(inputs.wanted)} of {inputs.input_ids.numel():,} hidden states read"
        plain, own = _body(setup, replace(inputs, wanted=None)), _body(setup, inputs)
        yield compare(what, ("all computed", plain), ("as wanted", own), rounds)


def _body(setup: Setup, inputs: Packed) -> Work:
    """Return a function that runs the body forward and backward."""

    def work() -> None:
        with setup.runtime.autocast():
            setup.model.body(inputs).float().sum().backward()

    return work


def layers(rounds: int) -> Iterator[Part]:
    """Measure the body alone, forward and backward, its layers compiled or not."""
    with with_model(Setting(model="small")) as setting:
        setups = [experiment(setting).setup for _ in range(2)]
    setups[1].model.body.compile_layers()
    rows = setups[0].streams["mlm"].rows(0)
    batch = setups[0].model.objective("mlm").collate(rows, generator(0))
    plain, compiled = (_body(setup, replace(batch.inputs, wanted=None)) for setup in setups)
    compiled()  # compiles
    yield compare("the body", ("eager", plain), ("compiled", compiled), rounds)


MEASURES = (
    elements,
    attention,
    embeddings,
    optimiser,
    passes,
    wanted,
    layers,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure every part, print the table, and write it as JSON."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog="python -m benchmarks.parts", description=__doc__)
    parser.add_argument("--rounds", type=count, default=15, help="turns of each way")
    names = [measure.__name__ for measure in MEASURES]
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="some of the parts")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there, too")
    options = parser.parse_args(given)
    started = datetime.now(UTC)
    keep_freed_memory()  # as `python -m tartan run` does
    found: dict[str, Any] = {"parts": []}
    for measure in (each for each in MEASURES if each.__name__ in options.only):
        for part in measure(options.rounds):
            found["parts"].append(asdict(part))
            print(f"{part.what}: {part.ratio:.2f}", file=sys.stderr, flush=True)
    found = {**origin(f"python -m benchmarks.parts {' '.join(given)}", [], started), **found}
    print(parts_page(found))
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
