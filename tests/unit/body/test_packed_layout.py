"""Packed sequences: every layout holds the same tokens."""

from collections import Counter
from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tartan.buckets import BESIDE, SETUP
from tartan.packed import Packed

LENGTHS = st.lists(st.integers(1, 70), min_size=1, max_size=12)


def packed_of(lengths):
    return Packed(torch.arange(sum(lengths)), tuple(lengths))


def test_sequences_lie_end_to_end():
    packed = Packed.of([[5, 6, 7], [8], [9, 10]])
    assert packed.input_ids.tolist() == [5, 6, 7, 8, 9, 10]
    assert packed.lengths == (3, 1, 2)
    assert packed.starts.tolist() == [0, 3, 4]
    assert packed.positions.tolist() == [0, 1, 2, 0, 0, 1]
    assert packed.mask.tolist() == [[True] * 3, [True, False, False], [True, True, False]]
    assert packed.places.tolist() == [0, 1, 2, 3, 6, 7]
    assert packed.pad(packed.input_ids, -1).tolist() == [[5, 6, 7], [8, -1, -1], [9, 10, -1]]


@given(LENGTHS)
def test_unpad_undoes_pad(lengths):
    packed = packed_of(lengths)
    values = torch.randn(sum(lengths), 2, 3)
    padded = packed.pad(values)
    assert padded.shape == (len(lengths), max(lengths), 2, 3)
    assert torch.equal(packed.unpad(padded), values)
    assert torch.equal(padded[packed.mask], values)
    assert not padded[~packed.mask].any()


@given(LENGTHS)
def test_every_token_has_one_place_in_a_bucket(lengths):
    packed = packed_of(lengths)
    buckets = packed.buckets
    assert torch.equal(packed.input_ids[buckets.index][buckets.places], packed.input_ids)
    assert buckets.mask.sum() == sum(lengths)
    assert buckets.mask[buckets.places].all()
    assert sum(bucket.sequences for bucket in buckets.groups) == len(lengths)


@given(LENGTHS)
def test_a_row_of_a_bucket_is_one_sequence(lengths):
    packed = packed_of(lengths)
    owner = torch.arange(len(lengths)).repeat_interleave(torch.tensor(lengths))
    buckets = packed.buckets
    for rows, real in zip(buckets.split(buckets.index), buckets.split(buckets.mask), strict=True):
        for row, mask in zip(rows, real, strict=True):
            tokens = row[mask]
            assert (owner[row] == owner[tokens[0]]).all()
            assert len(tokens) == lengths[owner[tokens[0]]]
            assert torch.equal(tokens, torch.arange(int(tokens[0]), int(tokens[0]) + len(tokens)))


@given(LENGTHS)
def test_many_sequences_of_a_length_are_padded_by_less_than_a_buckets_width(lengths):
    buckets = packed_of(lengths * 16).buckets
    for bucket, real in zip(buckets.groups, buckets.split(buckets.mask), strict=True):
        shortest = int(real.sum(1).min())
        assert bucket.longest - shortest < max(16, shortest // 4 + 1)
        assert bucket.even == (shortest == bucket.longest)


@given(LENGTHS)
def test_no_other_way_to_group_similar_lengths_costs_less(lengths):
    found = [(bucket.sequences, bucket.longest) for bucket in packed_of(lengths).buckets.groups]
    counts = sorted(Counter(-(-length // 16) * 16 for length in lengths).items())
    ways = product((False, True), repeat=len(counts) - 1)
    assert cost(found) == min(cost(grouped(counts, cuts)) for cuts in ways)


def grouped(counts, cuts):
    """Neighbours put together, but where they are cut apart."""
    groups, rows = [], 0
    for (longest, sequences), cut in zip(counts, (*cuts, True), strict=True):
        rows += sequences
        if cut:
            groups.append((rows, longest))
            rows = 0
    return groups


def cost(groups):
    return sum(SETUP + rows * longest * (longest + BESIDE) for rows, longest in groups)


@given(LENGTHS, st.integers(1, 3))
def test_heads_stand_apart_in_a_bucket(lengths, heads):
    packed = packed_of(lengths)
    buckets, layout = packed.buckets, packed.buckets.by_head(heads)
    states = torch.arange(sum(lengths) * heads)
    assert torch.equal(states[layout.index][layout.places], states)
    assert torch.equal(layout.real[layout.places], states)
    assert (layout.real == len(states)).sum() == heads * (~buckets.mask).sum()
    for rows, tokens in zip(layout.split(layout.index), buckets.split(buckets.index), strict=True):
        expected = tokens[:, None] * heads + torch.arange(heads)[:, None]
        assert torch.equal(rows, expected.flatten(0, 1))


def test_long_texts_fall_into_few_buckets():
    assert len(packed_of(range(1, 513)).buckets.groups) <= 16


def test_nothing_is_masked_where_nothing_is_padded():
    buckets = packed_of([16] * 16 + [32] * 8).buckets
    assert buckets.masks() == (None, None)
    near, far = buckets.masks(window=15)
    assert near is None
    assert far.shape == (1, 1, 32, 32)
    assert far[0, 0, 20].nonzero().squeeze(1).tolist() == list(range(5, 32))


def test_every_query_sees_a_token_so_that_gradients_are_finite():
    packed = packed_of([2, 16])
    (mask,) = packed.buckets.masks(window=3)
    assert mask.any(-1).all()
    assert not mask[0, 0, :2, 2:].any()


def test_masks_and_layouts_are_worked_out_once():
    buckets = packed_of([2, 9]).buckets
    assert buckets.masks(3) is buckets.masks(3)
    assert buckets.masks() is not buckets.masks(3)
    assert buckets.biases(torch.float32) is buckets.biases(torch.float32)
    assert buckets.by_head(2) is buckets.by_head(2)
    assert buckets.by_head(2) is not buckets.by_head(3)


@given(LENGTHS, st.none() | st.integers(0, 80), st.booleans())
def test_a_bias_hides_what_a_mask_hides(lengths, window, causal):
    buckets = packed_of(lengths).buckets
    biases = buckets.biases(torch.bfloat16, window, causal=causal)
    for group, mask, bias in zip(
        buckets.groups, buckets.masks(window, causal=causal), biases, strict=True
    ):
        every = torch.ones(1, 1, group.longest, group.longest, dtype=torch.bool)
        seen = (every.tril() if causal else every) if mask is None else mask
        added = torch.zeros(1, 1, 1, 1) if bias is None else bias
        assert torch.equal((added == 0).expand_as(seen), seen)
        assert torch.equal((added == -torch.inf).expand_as(seen), ~seen)


def test_gradients_pass_through_both_layouts():
    packed = packed_of([3, 1])
    values = torch.randn(4, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: packed.unpad(packed.pad(x) * 3.0), values)


def test_other_tokens_keep_the_layout():
    packed = Packed(torch.arange(4), (3, 1), torch.ones(4, dtype=torch.int64))
    other = packed.with_input_ids(torch.arange(4) + 10)
    assert other.input_ids.tolist() == [10, 11, 12, 13]
    assert other.lengths == (3, 1)
    assert other.token_type_ids is packed.token_type_ids
    assert other.to(torch.device("cpu")).lengths == (3, 1)


@pytest.mark.parametrize("lengths", [(2, 1), (4, 0), (5,), ()])
def test_lengths_that_do_not_lay_out_the_tokens_are_refused(lengths):
    with pytest.raises(ValueError, match="do not lay out 4 tokens; give each sequence's length"):
        Packed(torch.arange(4), lengths)


def test_segments_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"token_type_ids \(3,\) do not match input_ids \(4,\)"):
        Packed(torch.arange(4), (4,), torch.zeros(3, dtype=torch.int64))


@given(LENGTHS, st.none() | st.integers(0, 80), st.booleans())
def test_a_token_sees_those_of_its_own_sequence_within_the_window(lengths, window, causal):
    packed = packed_of(lengths)
    owner = torch.arange(len(lengths)).repeat_interleave(torch.tensor(lengths))
    here, there = packed.positions[:, None], packed.positions[None]
    expected = owner[:, None] == owner[None]
    if window is not None:
        expected &= (here - there).abs() <= window
    if causal:
        expected &= there <= here
    buckets = packed.buckets
    found = torch.zeros_like(expected)
    parts = (buckets.split(buckets.index), buckets.split(buckets.mask))
    masks = buckets.masks(window, causal=causal)
    for index, real, mask in zip(*parts, masks, strict=True):
        longest = index.shape[1]
        every = torch.ones(longest, longest, dtype=torch.bool)
        attended = (every.tril() if causal else every)[None, None] if mask is None else mask
        attended = attended.expand(len(index), 1, longest, longest)[:, 0]
        # What stands at padding is not looked at.
        attended = attended & real[:, :, None] & (real[:, None, :] if causal else True)
        for tokens, seen in zip(index, attended, strict=True):
            found[tokens[seen.nonzero()[:, 0]], tokens[seen.nonzero()[:, 1]]] = True
    assert torch.equal(found, expected)


ROWS = st.lists(
    st.lists(st.tuples(st.integers(0, 2**40), st.integers(0, 1)), min_size=1, max_size=9),
    min_size=1, max_size=6,
)  # fmt: skip


@given(ROWS)
def test_rows_laid_end_to_end_can_be_taken_apart_again(rows):
    given = [
        {"input_ids": [i for i, _ in row], "token_type_ids": [t for _, t in row]} for row in rows
    ]
    packed = Packed.of_rows(given)
    ids, types = (
        [part.tolist() for part in values.split(packed.lengths)]
        for values in (packed.input_ids, packed.token_type_ids)
    )
    assert ids == [row["input_ids"] for row in given]
    assert types == [row["token_type_ids"] for row in given]


@given(st.lists(LENGTHS, min_size=1, max_size=4))
def test_joined_batches_lie_end_to_end(parts):
    joined = Packed.join([packed_of(lengths) for lengths in parts])
    assert joined.lengths == tuple(length for lengths in parts for length in lengths)
    pieces = joined.input_ids.split([sum(lengths) for lengths in parts])
    assert all(
        torch.equal(piece, packed_of(lengths).input_ids)
        for piece, lengths in zip(pieces, parts, strict=True)
    )
    assert joined.token_type_ids is None


def test_what_has_no_segments_is_joined_as_the_first_segment():
    plain, paired = packed_of((2,)), Packed(torch.arange(3), (3,), torch.tensor([0, 1, 1]))
    assert Packed.join([plain, paired]).segments.tolist() == [0, 0, 0, 1, 1]


def test_what_is_wanted_moves_along_with_its_batch():
    some = packed_of((2, 2)).want(torch.tensor([3, 0]))
    assert Packed.join([some, packed_of((3,)), some]).wanted.tolist() == [3, 0, 4, 5, 6, 10, 7]
    assert Packed.join([packed_of((3,)), packed_of((1,))]).wanted is None
    moved = some.to(torch.device("meta"))
    assert moved.wanted.device.type == moved.input_ids.device.type == "meta"


def test_causal_and_other_sequences_are_not_joined():
    one, other = packed_of((2,)), Packed(torch.arange(3), (3,), causal=True)
    assert Packed.join([other, other]).causal
    with pytest.raises(ValueError, match="cannot be read in one pass"):
        Packed.join([one, other])
