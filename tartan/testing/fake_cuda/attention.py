"""Fused attention of the fake device: the operators of a GPU, computed by the formula.

torch's operators for them have derivatives in every build, but kernels in CUDA builds only.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, library

AREA = library.Library("aten", "IMPL")
ATEN = torch.ops.aten


class Attention:
    """Scaled dot-product attention, forward and backward, of [..., length, head_dim] states."""

    def __init__(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        *,
        bias: Tensor | None = None,
        causal: bool = False,
        window: tuple[int, int] = (-1, -1),
        scale: float | None = None,
        dropout: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> None:
        self._states = [states.float() for states in (query, key, value)]
        self._dtype, self._scale = query.dtype, scale or query.shape[-1] ** -0.5
        q, k, _ = self._states
        scores = (q @ k.mT) * self._scale
        if bias is not None:
            scores = scores + bias.float()
        seen = _seen(q.shape[-2], k.shape[-2], causal, window).to(q.device)
        self._weights = scores.masked_fill(~seen, -torch.inf).softmax(-1)
        self._kept: Tensor | float = 1.0
        if dropout:
            drawn = torch.rand(self._weights.shape, generator=generator) >= dropout
            self._kept = drawn.to(q.device) / (1 - dropout)

    def forward(self) -> Tensor:
        """Return the attended values."""
        return ((self._weights * self._kept) @ self._states[2]).to(self._dtype)

    def backward(self, grad: Tensor) -> tuple[Tensor, ...]:
        """Return the gradients of queries, keys and values."""
        q, k, v = self._states
        grad = grad.float()
        of_value = (self._weights * self._kept).mT @ grad
        of_weights = (grad @ v.mT) * self._kept
        product = (of_weights * self._weights).sum(-1, keepdim=True)
        of_scores = self._weights * (of_weights - product) * self._scale
        return tuple(g.to(self._dtype) for g in (of_scores @ k, of_scores.mT @ q, of_value))


def _seen(queries: int, keys: int, causal: bool, window: tuple[int, int]) -> Tensor:
    """Return which keys a query attends to, [queries, keys] bool."""
    ahead = torch.arange(keys) - torch.arange(queries)[:, None]
    before, after = (max(queries, keys) if side < 0 else side for side in window)
    seen = (ahead <= after) & (-ahead <= before)
    return seen & (ahead <= 0) if causal else seen


def _drawn(device: torch.device, dropout: float) -> Tensor:
    """Draw the state of a call's dropout, if any, [2] uint64, from torch's global generator."""
    state = torch.zeros(2, dtype=torch.int64)
    return (state.random_() if dropout else state).view(torch.uint64).to(device)


def _generator(seed: Tensor) -> torch.Generator:
    return torch.Generator().manual_seed(seed.tolist()[0])


def _each(
    states: Sequence[Tensor], offsets: Tensor, compute: Callable[..., Sequence[Tensor]]
) -> list[Tensor]:
    """Compute sequence by sequence on packed states [tokens, heads, head_dim], and join."""
    results = []
    for first, last in pairwise(offsets.tolist()):
        parts = [each[first:last].transpose(0, 1) for each in states]
        results.append([part.transpose(0, 1) for part in compute(*parts)])
    return [torch.cat(parts) for parts in zip(*results, strict=True)]


def _sides(options: dict[str, Any]) -> tuple[int, int]:
    sides = (options.get("window_size_left"), options.get("window_size_right"))
    left, right = (-1 if side is None else side for side in sides)
    return left, right


def _varlen(
    query: Tensor, key: Tensor, value: Tensor, offsets: Tensor, _: Tensor, _longest: int,
    _longest_key: int, dropout: float, causal: bool, _mask: bool = False, **options: Any,
) -> tuple[Tensor, ...]:  # fmt: skip
    """Compute `aten::_flash_attention_forward` of packed sequences."""
    seed = _drawn(query.device, dropout)
    draws = _generator(seed)

    def attend(*states: Tensor) -> list[Tensor]:
        return [
            Attention(
                *states, causal=causal, window=_sides(options), scale=options.get("scale"),
                dropout=dropout, generator=draws,
            ).forward()
        ]  # fmt: skip

    (attended,) = _each((query, key, value), offsets, attend)
    sums = query.new_zeros(query.shape[1], len(query), dtype=torch.float32)
    return attended, sums, seed, query.new_zeros(()), query.new_zeros(0)


def _varlen_backward(
    grad: Tensor, query: Tensor, key: Tensor, value: Tensor, _out: Tensor, _sums: Tensor,
    offsets: Tensor, _: Tensor, _longest: int, _longest_key: int, dropout: float, causal: bool,
    seed: Tensor, _unused: Tensor, **options: Any,
) -> tuple[Tensor, ...]:  # fmt: skip
    """Compute `aten::_flash_attention_backward` of packed sequences."""
    draws = _generator(seed)

    def differentiate(gradient: Tensor, *states: Tensor) -> Sequence[Tensor]:
        return Attention(
            *states, causal=causal, window=_sides(options), scale=options.get("scale"),
            dropout=dropout, generator=draws,
        ).backward(gradient)  # fmt: skip

    return tuple(_each((grad, query, key, value), offsets, differentiate))


def _efficient(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, _sums: bool,
    dropout: float = 0.0, causal: bool = False, *, scale: float | None = None,
) -> tuple[Tensor, ...]:  # fmt: skip
    """Compute `aten::_scaled_dot_product_efficient_attention`."""
    seed = _drawn(query.device, dropout)
    attended = Attention(
        query, key, value, bias=bias, causal=causal, scale=scale, dropout=dropout,
        generator=_generator(seed),
    ).forward()  # fmt: skip
    return attended, query.new_zeros(query.shape[:3], dtype=torch.float32), seed, seed.clone()


def _efficient_backward(
    grad: Tensor, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, _out: Tensor,
    _sums: Tensor, seed: Tensor, _offset: Tensor, dropout: float, _needed: Sequence[bool],
    causal: bool = False, *, scale: float | None = None,
) -> tuple[Tensor | None, ...]:  # fmt: skip
    """Compute `aten::_scaled_dot_product_efficient_attention_backward`."""
    attention = Attention(
        query, key, value, bias=bias, causal=causal, scale=scale, dropout=dropout,
        generator=_generator(seed),
    )  # fmt: skip
    return *attention.backward(grad), None


def _choose(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None,
    dropout_p: float = 0.0, is_causal: bool = False, *, scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:  # fmt: skip
    """Choose a kernel for `scaled_dot_product_attention`: the memory-efficient one."""
    if enable_gqa:
        repeats = query.shape[1] // key.shape[1]
        key, value = (states.repeat_interleave(repeats, 1) for states in (key, value))
    bias = attn_mask
    if bias is not None and bias.dtype == torch.bool:
        zeros = torch.zeros_like(bias, dtype=query.dtype)
        bias = zeros.masked_fill_(bias.logical_not(), -torch.inf)
    attended: Tensor = ATEN._scaled_dot_product_efficient_attention(
        query, key, value, bias, True, dropout_p, is_causal, scale=scale
    )[0]
    return attended


def register() -> None:
    """Register the operators' kernels for CUDA, for the rest of the process."""
    kernels = {
        "_flash_attention_forward": _varlen,
        "_flash_attention_backward": _varlen_backward,
        "_scaled_dot_product_efficient_attention": _efficient,
        "_scaled_dot_product_efficient_attention_backward": _efficient_backward,
    }
    for name, kernel in kernels.items():
        AREA.impl(name, kernel, "CUDA")
    AREA.impl("scaled_dot_product_attention", _choose, "AutogradCUDA")
