"""Buckets: every token has a place, and attends to the tokens it should."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from tartan.body.kernels.buckets import Buckets, ByHead, _ceiling, _power, biases, masks
from tartan.packed import Packed

LENGTHS = st.lists(st.integers(1, 70), min_size=1, max_size=12)


def buckets_of(lengths):
    return Buckets.of(tuple(lengths), torch.device("cpu"))


@given(LENGTHS)
def test_every_token_has_one_place_in_a_bucket(lengths):
    buckets, tokens = buckets_of(lengths), torch.arange(sum(lengths))
    assert torch.equal(tokens[buckets.index][buckets.places], tokens)
    assert buckets.mask.sum() == sum(lengths)
    assert buckets.mask[buckets.places].all()
    assert sum(bucket.sequences for bucket in buckets.groups) == len(lengths)


@given(LENGTHS)
def test_a_row_of_a_bucket_is_one_sequence(lengths):
    owner = torch.arange(len(lengths)).repeat_interleave(torch.tensor(lengths))
    buckets = buckets_of(lengths)
    for rows, real in zip(buckets.split(buckets.index), buckets.split(buckets.mask), strict=True):
        for row, mask in zip(rows, real, strict=True):
            tokens = row[mask]
            assert (owner[row] == owner[tokens[0]]).all()
            assert len(tokens) == lengths[owner[tokens[0]]]
            assert torch.equal(tokens, torch.arange(int(tokens[0]), int(tokens[0]) + len(tokens)))


@given(LENGTHS)
def test_padding_is_less_than_a_buckets_width(lengths):
    buckets = buckets_of(lengths)
    for bucket, real in zip(buckets.groups, buckets.split(buckets.mask), strict=True):
        shortest = int(real.sum(1).min())
        assert bucket.longest - shortest < max(16, shortest // 4 + 1)
        assert bucket.even == (shortest == bucket.longest)


@given(LENGTHS, st.integers(1, 3))
def test_each_head_has_rows_of_its_own(lengths, heads):
    buckets = buckets_of(lengths)
    layout = ByHead.of(buckets, heads)
    states = torch.arange(sum(lengths) * heads)
    assert torch.equal(states[layout.index][layout.places], states)
    assert torch.equal(layout.real[layout.places], states)
    assert (layout.real == len(states)).sum() == heads * (~buckets.mask).sum()
    for rows, tokens in zip(layout.split(layout.index), buckets.split(buckets.index), strict=True):
        expected = tokens[:, None] * heads + torch.arange(heads)[:, None]
        assert torch.equal(rows, expected.flatten(0, 1))


def test_long_texts_fall_into_few_buckets():
    assert len(buckets_of(range(1, 513)).groups) <= 16


def test_nothing_is_masked_where_nothing_is_padded():
    buckets = buckets_of([16, 16, 32])
    assert masks(buckets, causal=False) == (None, None)
    near, far = masks(buckets, causal=False, window=15)
    assert near is None
    assert far.shape == (1, 1, 32, 32)
    assert far[0, 0, 20].nonzero().squeeze(1).tolist() == list(range(5, 32))


def test_every_query_attends_to_a_token_so_that_gradients_are_finite():
    (mask,) = masks(buckets_of([2, 16]), causal=False, window=3)
    assert mask.any(-1).all()
    assert not mask[0, 0, :2, 2:].any()


@given(LENGTHS, st.none() | st.integers(0, 80), st.booleans())
def test_a_bias_hides_what_a_mask_hides(lengths, window, causal):
    buckets = buckets_of(lengths)
    hidden, added = masks(buckets, causal, window), biases(buckets, causal, torch.bfloat16, window)
    for group, mask, bias in zip(buckets.groups, hidden, added, strict=True):
        every = torch.ones(1, 1, group.longest, group.longest, dtype=torch.bool)
        seen = (every.tril() if causal else every) if mask is None else mask
        scores = torch.zeros(1, 1, 1, 1) if bias is None else bias
        assert torch.equal((scores == 0).expand_as(seen), seen)
        assert torch.equal((scores == -torch.inf).expand_as(seen), ~seen)


@given(LENGTHS, st.none() | st.integers(0, 80), st.booleans())
def test_a_token_attends_to_those_of_its_own_sequence_within_the_window(lengths, window, causal):
    packed = Packed(torch.arange(sum(lengths)), tuple(lengths))
    owner = torch.arange(len(lengths)).repeat_interleave(torch.tensor(lengths))
    here, there = packed.positions[:, None], packed.positions[None]
    expected = owner[:, None] == owner[None]
    if window is not None:
        expected &= (here - there).abs() <= window
    if causal:
        expected &= there <= here
    buckets = buckets_of(lengths)
    found = torch.zeros_like(expected)
    parts = (buckets.split(buckets.index), buckets.split(buckets.mask))
    for index, real, mask in zip(*parts, masks(buckets, causal, window), strict=True):
        longest = index.shape[1]
        every = torch.ones(longest, longest, dtype=torch.bool)
        attended = (every.tril() if causal else every)[None, None] if mask is None else mask
        attended = attended.expand(len(index), 1, longest, longest)[:, 0]
        # Queries at padding are not read.
        attended = attended & real[:, :, None] & (real[:, None, :] if causal else True)
        for tokens, seen in zip(index, attended, strict=True):
            found[tokens[seen.nonzero()[:, 0]], tokens[seen.nonzero()[:, 1]]] = True
    assert torch.equal(found, expected)


def test_a_causal_mask_is_the_same_for_all_sequences_of_a_bucket():
    buckets = buckets_of([2, 7])
    (both,), (left,) = (masks(buckets, causal, window=1) for causal in (False, True))
    assert both.shape == (2, 1, 16, 16)
    assert left.shape == (1, 1, 16, 16)
    assert left[0, 0].sum() == 16 + 15
    assert masks(buckets, causal=True) == (None,)


def test_an_accelerator_has_fewer_buckets_since_each_has_launches_of_its_own():
    lengths = range(1, 513)
    here, there = ({each(length) for length in lengths} for each in (_ceiling, _power))
    assert len(here) == 16
    assert there == {64, 128, 256, 512}
    assert all(_power(length) >= length for length in lengths)
