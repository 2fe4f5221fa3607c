"""`python -m benchmarks.processes`: what a step of many processes sends, and what each one holds.

Nothing is sent and nothing is timed: torch's fake process group makes this process one rank of a
world of any size, and tensors of the large bodies are on the meta device. What a step sends is
counted at the operators of torch.distributed, in bytes that a rank sends where they are done in
rings: (W - 1) / W of a reduce-scatter's or all-gather's whole tensor, twice that of an all-reduce.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.testing._internal.distributed.fake_pg import FakeStore
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import LlamaConfig, LlamaModel, PreTrainedModel, RobertaConfig, RobertaModel

from tartan.backward import backward
from tartan.body.layers import layers_of
from tartan.distributed.replicated import ReplicatedShared
from tartan.distributed.sharded import ShardedShared, local, make_mesh, shard_body
from tartan.plugins import discover
from tartan.term import Term
from tartan.weighting import Needs, Weighting

KINDS = {"static": "static", "META": "meta", "Gramian": "pcgrad"}
"""The weighting that stands for each kind."""
FLOAT, DOUBLE = 4, 8
OBJECTIVES = 3
WORLDS = (8, 64, 1024)


class Traffic(TorchDispatchMode):
    """Counts the bytes that this rank sends.

    Attributes:
        sent: bytes so far.
    """

    def __init__(self, ranks: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's
        self._ranks, self.sent = ranks, 0.0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        """Count an operator, and call it."""
        share = (self._ranks - 1) / self._ranks
        if func.namespace == "c10d":
            name = func.overloadpacket.__name__
            if name == "allreduce_":
                self.sent += 2 * share * sum(tensor.nbytes for tensor in args[0])
            elif name == "broadcast_":  # in a pipeline, all but the last send it on
                self.sent += share * sum(tensor.nbytes for tensor in args[0])
            elif name in ("_reduce_scatter_base_", "_allgather_base_"):
                self.sent += share * max(args[0].nbytes, args[1].nbytes)
            else:
                raise NotImplementedError(name)
        return func(*args, **(kwargs or {}))


@contextmanager
def world(ranks: int) -> Iterator[None]:
    """Through a block, be rank 0 of a world in which nothing is sent."""
    distributed.init_process_group("fake", store=FakeStore(), rank=0, world_size=ranks)
    try:
        yield
    finally:
        distributed.destroy_process_group()


def predicted(kind: str, ranks: int, kept: int, divided: int, heads: int, micro: int = 1) -> float:
    """Return the bytes that a rank sends in a step, by the formula of docs/scale.md.

    Args:
        kind: of `KINDS`.
        ranks: how many processes there are.
        kept: numbers of the body of which every process has a copy; divided by `ranks`.
        divided: numbers of the body that processes divide; likewise.
        heads: numbers of the heads' parameters, and one for each parameter.
        micro: micro-batches of a process in a step.
    """
    n, ring = OBJECTIVES, (ranks - 1) / ranks
    dev = kind == "META"
    gradients = 1 if kind == "static" else n + dev
    passes = micro if kind == "static" else n * micro + dev
    products = {"static": 0, "META": n + n + 1, "Gramian": n * n}[kind]
    body = FLOAT * ring * ((gradients + 1) * kept + 3 * passes * divided)
    return body + 2 * ring * (DOUBLE * (n + products) + FLOAT * heads + DOUBLE * dev_norm(divided))


def dev_norm(divided: int) -> int:
    """Return how many further scalars are summed: the norm that clipping needs, if divided."""
    return int(divided > 0)


class SmallBody(nn.Module):
    """An embedding of which all keep a copy, and layers that can be divided."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(1024, 64)
        self.layers = nn.ModuleList(nn.Linear(64, 1024, bias=False) for _ in range(2))

    def forward(self, tokens: Tensor) -> Tensor:
        """Return [tokens, 1024]."""
        one, other = (layer(self.table(tokens)) for layer in self.layers)
        hidden: Tensor = one + other
        return hidden


def counted(kind: str, ranks: int, *, sharded: bool, micro: int = 1) -> tuple[float, float]:
    """Return the bytes that a rank sends in a step: counted, and by the formula."""
    with world(ranks):
        body, heads = SmallBody(), [nn.Linear(1024, 8) for _ in range(OBJECTIVES)]
        if sharded:
            mesh = make_mesh(torch.device("cpu"), 1, ranks)
            shard_body(body, body.layers, list(body.table.parameters()), mesh)
        shared = _shared(body, ranks, sharded)
        with Traffic(ranks) as traffic:
            _step(kind, body, heads, shared, micro)
    every = sum(p.numel() for p in body.parameters())
    divided = sum(p.numel() for p in body.layers.parameters()) if sharded else 0
    private = [p for head in heads for p in head.parameters()]
    numbers = sum(p.numel() for p in private) + len(private)
    return traffic.sent, predicted(kind, ranks, every - divided, divided, numbers, micro)


def _shared(body: nn.Module, ranks: int, sharded: bool) -> ReplicatedShared:
    if sharded:
        return ShardedShared(body.parameters(), 0, ranks, 1)
    return ReplicatedShared(body.parameters(), 0, ranks)


def _step(
    kind: str, body: nn.Module, heads: Sequence[nn.Module], shared: ReplicatedShared, micro: int
) -> None:
    """Compute the gradients of a step, as a rank does."""
    names = tuple(f"objective{number}" for number in range(OBJECTIVES))
    cls = discover().weighting(KINDS[kind])
    weighting: Weighting = cls(cls.Options(), names)
    tokens, joint = torch.arange(16), kind == "static"
    states: list[Callable[[], Tensor]] = [partial(body, tokens) for _ in range(micro)]
    if joint:  # one pass for all objectives
        states = [cache(state) for state in states]
    terms = [
        Term([partial(_loss, head, state) for state in states], 1, tuple(head.parameters()))
        for head in heads
    ]
    dev = Term([lambda: body(tokens).sum()]) if Needs.DEV in weighting.needs else None
    backward(terms, weighting, shared, dev=dev)
    shared.complete([p for head in heads for p in head.parameters()], {})
    shared.grad_norm()


def _loss(head: nn.Module, state: Callable[[], Tensor]) -> Tensor:
    """Return a loss of a body's hidden states, []."""
    total: Tensor = head(state()).sum()
    return total


@dataclass(frozen=True)
class Held:
    """Numbers of a body that a rank holds.

    Attributes:
        kept: of parameters of which every process has a copy.
        divided: of the parts that are its own.
        unit: of the largest group that is gathered at once.
    """

    kept: int
    divided: int
    unit: int

    def memory(self, copies: int, ranks: int, *, moments: bool = False) -> float:
        """Return bytes of parameters, moments and gradients; activations are not counted.

        Of what all keep: parameters, one gradient, two moments, and `copies` parts of gradients. Of
        what is divided: the same of a part. Two groups are gathered at once, and one's gradient.

        Args:
            copies: of a gradient, as docs/architecture.md counts them.
            ranks: how many processes there are.
            moments: whether these are divided too.
        """
        kept = (2 + 2 / (ranks if moments else 1) + copies / ranks) * self.kept
        return FLOAT * (kept + (4 + copies) * self.divided + 3 * self.unit)


def bodies() -> dict[str, Callable[[], PreTrainedModel]]:
    """Return the bodies by size: RoBERTa-base, and the shapes of Llama 3.2 1B and Llama 3.1 8B."""
    one, eight = _llama(2048, 8192, 16), _llama(4096, 14336, 32)
    base = RobertaConfig(vocab_size=50265, max_position_embeddings=514, type_vocab_size=1)
    return {
        "125 M": lambda: RobertaModel(base, add_pooling_layer=False),
        "1 B": lambda: LlamaModel(one),
        "8 B": lambda: LlamaModel(eight),
    }


def _llama(hidden: int, intermediate: int, layers: int) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=128256,
        hidden_size=hidden,
        intermediate_size=intermediate,
        num_hidden_layers=layers,
        num_attention_heads=32,
        num_key_value_heads=8,
    )


def held(make: Callable[[], PreTrainedModel], ranks: int, *, sharded: bool) -> Held:
    """Return what a rank holds of a body."""
    with world(ranks), torch.device("meta"):
        body = make()
        every = sum(p.numel() for p in body.parameters())
        if not sharded:
            return Held(every, 0, 0)
        table = body.get_input_embeddings().get_parameter("weight")
        layers = layers_of(body)
        unit = max(sum(p.numel() for p in layer.parameters()) for layer in layers)
        shard_body(body, layers, [table], make_mesh(torch.device("cpu"), 1, ranks))
        parts = [p for p in body.parameters() if p is not table]
        return Held(table.numel(), sum(local(p).numel() for p in parts), unit)


def traffic_table() -> list[str]:
    """Return the lines of the table of bytes."""
    lines = ["| mode | weighting | W | counted | formula |", "|---|---|--:|--:|--:|"]
    for sharded in (False, True):
        for kind in KINDS:
            for ranks in WORLDS[:2]:
                found, expected = counted(kind, ranks, sharded=sharded)
                mode = "sharded" if sharded else "replicated"
                lines.append(f"| {mode} | {kind} | {ranks} | {found:,.0f} | {expected:,.0f} |")
    return lines


def memory_table() -> list[str]:
    """Return the lines of the table of memory, in GiB."""
    copies = {"static": 1, "META": 3, "Gramian": OBJECTIVES + 1}
    lines = [
        f"| body | mode | W | {' | '.join(copies)} |",
        f"|---|---|--:|{'--:|' * len(copies)}",
    ]
    for name, make in bodies().items():
        for mode in ("replicated", "moments divided", "sharded"):
            for ranks in WORLDS:
                found = held(make, ranks, sharded=mode == "sharded")
                memory = partial(found.memory, ranks=ranks, moments=mode == "moments divided")
                sizes = [f"{memory(c) / 2**30:.2f}" for c in copies.values()]
                lines.append(f"| {name} | {mode} | {ranks} | {' | '.join(sizes)} |")
    return lines


def main() -> None:
    """Print the tables of docs/scale.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", choices=("traffic", "memory"))
    print(
        "\n".join({"traffic": traffic_table, "memory": memory_table}[parser.parse_args().table]())
    )


if __name__ == "__main__":
    main()
