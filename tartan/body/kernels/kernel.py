"""Kernel: what all kernels of attention over packed sequences compute."""

from typing import Protocol

from torch import Tensor

from tartan.body.kernels.layout import Layout


class Kernel(Protocol):
    """Scaled dot-product attention within each of several packed sequences."""

    def __call__(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        layout: Layout,
        *,
        dropout: float,
        scaling: float | None,
        window: int | None,
    ) -> Tensor:
        """Attend within each sequence; if the layout is causal, to earlier tokens only.

        Args:
            query: [tokens, heads, head_dim] float.
            key: [tokens, key_heads, head_dim] float; key_heads divides heads.
            value: [tokens, key_heads, head_dim] float.
            layout: the sequences that the tokens belong to.
            dropout: probability that an attention weight is dropped.
            scaling: factor of the inner products; head_dim ** -0.5 if None.
            window: the largest distance at which a token is attended to; None for any distance.

        Returns:
            [tokens, heads, head_dim] float, in the order of the query's tokens; anything finite for
            tokens beyond those of the layout.
        """
