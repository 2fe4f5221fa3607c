"""The end task's weight collapses: reported once, kept in the summary."""

import pytest

from tartan import Weighting
from tartan.train.collapse import collapsed_share
from tartan_weightings.meta import Meta, MetaOptions
from tartan_weightings.static import Static, StaticOptions

NAMES = ("task", "mlm")
LEARNED = Meta(MetaOptions(), NAMES)


def means(*weights: float) -> dict[str, float]:
    return {f"train/weight/{name}": w for name, w in zip(NAMES, weights, strict=True)}


@pytest.mark.parametrize(
    ("weights", "share"),
    [((0.05, 0.95), None), ((0.04, 0.96), 0.04), ((4.0, 96.0), 0.04), ((0.0, 0.0), 0.0),
     ((0.9, 0.1), None)],
)  # fmt: skip
def test_a_share_below_a_tenth_of_an_equal_share_is_a_collapse(
    weights: tuple[float, float], share: float | None
):
    assert collapsed_share(LEARNED, NAMES, "task", means(*weights)) == pytest.approx(share)


@pytest.mark.parametrize(
    ("weighting", "names", "primary"),
    [
        (Static(StaticOptions({"task": 0.01, "mlm": 1.0}), NAMES), NAMES, "task"),
        (LEARNED, ("mlm",), "task"),
    ],
)
def test_weights_that_the_user_chose_and_stages_without_the_end_task_do_not_count(
    weighting: Weighting, names: tuple[str, ...], primary: str
):
    assert collapsed_share(weighting, names, primary, means(0.01, 1.0)) is None
