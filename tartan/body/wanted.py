"""The last layer of a body, computed for wanted tokens alone.

Attention in it looks at all tokens, but what comes after, three quarters of a layer's arithmetic,
looks at each token by itself: where a loss reads few hidden states, few need to be computed.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer

from tartan.body.layouts import FAILURES, agree
from tartan.packed import Packed
from tartan.quiet import quiet

Read = Callable[[Packed], Tensor]
"""From sequences to hidden states [tokens, hidden]."""


def read_wanted(read: Read, packed: Packed, output: nn.Module) -> Tensor:
    """Hidden states [tokens, hidden] of the wanted tokens, 0 elsewhere.

    Args:
        read: reads sequences packed, with the model that `output` is part of.
        packed: the sequences.
        output: the part of the model that goes on with wanted tokens, as `attention_output` gives.
    """
    assert packed.wanted is not None
    with _only(output, packed.wanted):
        rows = read(packed)
    shape = packed.input_ids.numel(), rows.shape[-1]
    return rows.new_zeros(shape).index_copy(0, packed.wanted, rows)


def attention_output(model: PreTrainedModel, read: Read, packed: Packed) -> str | None:
    """The name of what follows the last attention, if it can go on with wanted tokens alone.

    BERT and its descendants have a module there that is given the attended values and the layer's
    input, each [1, tokens, hidden]. That nothing later looks at other tokens is tried.

    Args:
        model: a model in eval mode that reads packed.
        read: reads sequences with it.
        packed: what to read, as `layouts.trial` gives it.
    """
    layers = [n for n, m in model.named_modules() if isinstance(m, GradientCheckpointingLayer)]
    name = f"{layers[-1]}.attention.output" if layers else ""
    output = dict(model.named_modules()).get(name)
    if output is None:
        return None
    wanted = torch.arange(packed.input_ids.numel(), device=packed.input_ids.device)[1::3]
    with torch.no_grad(), quiet():
        try:
            found = read_wanted(read, packed.want(wanted), output)
            return name if agree(read(packed)[wanted], found[wanted]) else None
        except FAILURES:
            return None


@contextmanager
def _only(output: nn.Module, places: Tensor) -> Iterator[None]:
    """Have a module be given some places of its inputs [1, tokens, hidden] while a block runs."""

    def choose(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(states.index_select(1, places) for states in inputs)

    hook = output.register_forward_pre_hook(choose)
    try:
        yield
    finally:
        hook.remove()
