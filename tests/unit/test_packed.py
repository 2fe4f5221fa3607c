"""Packed sequences: the packed and the padded layout hold the same tokens."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

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
    assert packed.offsets.tolist() == [0, 3, 4, 6]
    assert packed.offsets.dtype == torch.int32
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


def test_reading_the_layout_stores_nothing():
    packed = packed_of([3, 1])
    before = dict(vars(packed))
    packed.pad(packed.input_ids)
    assert packed.offsets.tolist() == [0, *(packed.starts[1:]).tolist(), 4]
    assert packed.mask.sum() == len(packed.positions)
    assert vars(packed) == before


def test_gradients_pass_through_both_layouts():
    packed = packed_of([3, 1])
    values = torch.randn(4, 2, dtype=torch.float64, requires_grad=True)
    assert torch.equal(packed.pool(values, last=False), values[packed.starts])
    assert torch.autograd.gradcheck(lambda x: packed.pool(x, last=True), values)
    assert torch.autograd.gradcheck(lambda x: packed.unpad(packed.pad(x) * 3.0), values)


def test_other_tokens_keep_the_layout():
    packed = Packed(torch.arange(4), (3, 1), torch.ones(4, dtype=torch.int64))
    other = packed.with_input_ids(torch.arange(4) + 10)
    assert other.input_ids.tolist() == [10, 11, 12, 13]
    assert other.lengths == (3, 1)
    assert other.token_type_ids is packed.token_type_ids
    assert other.to(torch.device("cpu")).lengths == (3, 1)


@pytest.mark.parametrize("lengths", [(2, 1), (4, 0), (5,), ()])
def test_lengths_that_do_not_match_the_tokens_are_refused(lengths):
    with pytest.raises(ValueError, match="do not match 4 tokens: give the length of each sequence"):
        Packed(torch.arange(4), lengths)


def test_segments_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"token_type_ids \(3,\) do not match input_ids \(4,\)"):
        Packed(torch.arange(4), (4,), torch.zeros(3, dtype=torch.int64))


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


def test_sequences_without_segments_are_joined_as_the_first_segment():
    plain, paired = packed_of((2,)), Packed(torch.arange(3), (3,), torch.tensor([0, 1, 1]))
    assert Packed.join([plain, paired]).segments.tolist() == [0, 0, 0, 1, 1]


def test_wanted_tokens_are_shifted_when_batches_are_joined():
    some = packed_of((2, 2)).want(torch.tensor([3, 0]))
    assert Packed.join([some, packed_of((3,)), some]).wanted.tolist() == [3, 0, 4, 5, 6, 10, 7]
    assert Packed.join([packed_of((3,)), packed_of((1,))]).wanted is None
    moved = some.to(torch.device("meta"))
    assert moved.wanted.device.type == moved.input_ids.device.type == "meta"


def test_causal_and_other_sequences_are_not_joined():
    one, other = packed_of((2,)), Packed(torch.arange(3), (3,), causal=True)
    assert Packed.join([other, other]).causal
    with pytest.raises(ValueError, match="cannot be joined"):
        Packed.join([one, other])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_texts_mean_over_its_sequences_is_not_rounded(dtype: torch.dtype):
    packed = replace(packed_of((1,) * 5), texts=(3, 2))
    values = torch.rand(5, 4, 2, generator=torch.Generator().manual_seed(0)).to(dtype)
    expected = torch.stack([part.float().mean(0).to(dtype) for part in values.split((3, 2))])
    with torch.autocast("cpu", torch.bfloat16):
        assert_close(
            packed.by_text(values), expected, rtol=0 if dtype.itemsize == 2 else 1e-6, atol=0
        )
