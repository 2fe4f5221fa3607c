"""A layout is computed once per forward pass and used by every layer."""

import gc
import weakref

import torch

from support.attention import layout_of
from tartan.body.kernels import buckets
from tartan.body.reading import make_layout
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
        layout = layout_of(packed.lengths)
        layout.masks(3), layout.biases(torch.float32, None), layout.by_head(2)
        reference = weakref.ref(layout)
        del layout
        assert reference() is None
    finally:
        gc.enable()


CPU = torch.device("cpu")


def test_spare_tokens_are_a_sequence_of_their_own():
    """A variable-length kernel writes nothing to rows that are in no sequence."""
    layout = make_layout((40, 30), CPU, causal=False, varlen=True)
    assert layout.spare == 58  # 128 tokens in all
    assert layout.offsets.tolist() == [0, 40, 70, 128]
    assert (layout.longest, layout.longest_read) == (40, 58)
    assert layout.positions.tolist() == [*range(40), *range(30), *[0] * 58]
    assert make_layout((64,), CPU, causal=False, varlen=True).offsets.tolist() == [0, 64]


def test_masks_are_converted_once_for_all_layers():
    layout = layout_of((2, 9, 30))
    added = layout.added(torch.bfloat16, None)
    assert added is layout.added(torch.bfloat16, None)
    for mask, more in zip(layout.masks(None), added, strict=True):
        assert mask is not None
        assert more is not None
        assert more.dtype == torch.bfloat16
        assert torch.equal(more == 0, mask)
        assert torch.equal(more.isneginf(), ~mask)


def test_a_pass_uses_the_layout_that_was_made_ahead(packed, body, monkeypatch):
    expected = body.eval()(packed)
    body.lay_out(packed.lengths)
    monkeypatch.setattr("tartan.body.body.make_layout", None)
    assert torch.equal(body(packed), expected)
    monkeypatch.undo()
    body.max_tokens = 40
    expected = body(packed)
    body.lay_out(packed.lengths)
    monkeypatch.setattr("tartan.body.body.make_layout", None)
    assert torch.equal(body(packed), expected)


def test_a_layout_ahead_is_for_its_lengths_and_direction_alone(body):
    body.lay_out((2, 3))
    assert body._layouts.find((2, 3), causal=False) is not None
    assert body._layouts.find((2, 3), causal=True) is None
    assert body._layouts.find((3, 2), causal=False) is None


def test_layouts_of_two_steps_are_kept(body):
    """One is read while the next one's are made."""
    for length in (2, 3, 4):
        body.begin_layouts()
        body.lay_out((length,))
    found = [body._layouts.find((length,), causal=False) is not None for length in (2, 3, 4)]
    assert found == [False, True, True]
