"""A held-out share of the training rows."""

from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st

from tartan.data import hold_out


@given(count=st.integers(1, 60), share=st.floats(0, 0.99), seed=st.integers(0, 2**40))
def test_every_row_is_trained_on_or_held_out_and_keeps_its_order(count, share, seed):
    rows = Dataset.from_dict({"n": list(range(count))})
    kept, held = (part["n"][:] for part in hold_out(rows, share, seed))
    assert sorted([*kept, *held]) == list(range(count))
    assert (kept, held) == (sorted(kept), sorted(held))
    assert len(held) == round(share * count)
    again = hold_out(rows, share, seed)[1]["n"][:]
    assert again == held
