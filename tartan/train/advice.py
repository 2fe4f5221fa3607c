"""What to do where a step needs too much memory: the options that lower it."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from tartan.body import Body
from tartan.train.out_of_memory import batch_shape


def advice(
    names: Sequence[str],
    lengths: Sequence[int],
    primary: str,
    body: Body,
    limits: Mapping[str, str] = MappingProxyType({}),
) -> tuple[str, str]:
    """Return where memory ran out, and which options to change.

    Args:
        names: what was computed: objectives, or one name of another part of a step.
        lengths: of the sequences that it was computed on; empty where there are none.
        primary: the end task's name.
        body: the shared encoder.
        limits: by objective, the option that limits its batches; `batch_size` of those left out.
    """
    place = " and ".join(names)
    if names == ("the dev gradient",):
        sizes = "weighting.probe.fit_batch_size and weighting.probe.grad_batch_size"
        return place, f"lower {sizes}{_savers(body, lengths)}, or choose a smaller model"
    if not lengths:
        return place, "choose a smaller model"
    options = [
        f"{'primary' if name == primary else f'objectives.{name}'}.{limits.get(name, 'batch_size')}"
        for name in names
    ]
    if len(names) > 1:
        by_tokens = [option for option in options if option.endswith(".max_tokens")]
        by_rows = ["batch_size"] if len(by_tokens) < len(options) else []
        options = by_rows + by_tokens
    size = " and ".join(options)
    return f"{place}, {batch_shape(lengths)}", (
        f"lower {size}, which a higher accumulate makes up for, or model.max_length"
        f"{_savers(body, lengths)}"
    )


def _savers(body: Body, lengths: Sequence[int]) -> str:
    """Return the options of `model` that save memory and are not used yet."""
    tokens = sum(lengths) if body.max_tokens is None else min(body.max_tokens, sum(lengths))
    options = [] if body.checkpointed else ["model.gradient_checkpointing=true"]
    if tokens // 2 >= max(lengths, default=1):
        options.append(f"model.max_tokens_per_pass={tokens // 2}")
    return f"; or set {' or '.join(options)}" if options else ""
