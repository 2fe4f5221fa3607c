"""A layout is computed once per forward pass and used by every layer."""

import gc
import weakref

import torch

from support.attention import layout_of
from tartan.body.kernels import buckets
from tartan.body.kernels.layout import Layout
from tartan.testing import tiny_source


def test_what_layers_have_in_common_is_computed_once():
    layout = layout_of((2, 9))
    assert layout.masks(3) is layout.masks(3)
    assert layout.masks(None) is not layout.masks(3)
    assert layout.biases(torch.float32, None) is layout.biases(torch.float32, None)
    assert layout.by_head(2) is layout.by_head(2)
    assert layout.by_head(2) is not layout.by_head(3)


def test_a_forward_pass_groups_its_sequences_once(packed, monkeypatch):
    body, grouped = tiny_source("bert", num_hidden_layers=3).body(), []
    of = buckets.Buckets.of

    def counted(lengths, device):
        grouped.append(lengths)
        return of(lengths, device)

    monkeypatch.setattr(buckets.Buckets, "of", counted)
    body(packed)
    assert grouped == [packed.lengths]
    body(packed)
    assert grouped == [packed.lengths] * 2


def test_a_layout_is_released_after_its_pass(packed):
    """Nothing but the autograd graph refers to a layout: no reference cycle keeps it."""
    gc.disable()
    try:
        layout = Layout(packed)
        layout.masks(3), layout.biases(torch.float32, None), layout.by_head(2)
        reference = weakref.ref(layout)
        del layout
        assert reference() is None
    finally:
        gc.enable()
