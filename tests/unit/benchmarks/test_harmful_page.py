"""The page of helpful and harmful objectives tells what its runs say."""

from typing import Any

from benchmarks.harmful_page import ALONE, HELPED, keeps, page


def run(arm: str, seed: int, test: float, **weights: float) -> dict[str, Any]:
    return {"arm": arm, "seed": seed, "test": test, "weights": weights, "metric": "macro_f1"}


RUNS = [
    run(ALONE, 0, 60.0, classification=1.0),
    run(ALONE, 1, 90.0, classification=1.0),
    run(HELPED, 0, 80.0, classification=0.5, tapt=0.5),
    run(HELPED, 1, 80.0, classification=0.5, tapt=0.5),
    run("meta", 0, 79.0, classification=2.0, tapt=1.0, dapt=0.5, classification_aux=0.5),
    run("gcs", 0, 80.0, classification=1.0),
    run("gcs", 1, 70.0, classification=1.0),
]
FIRST = {"meta": True, "gcs": True, "pcd": True, "static": False}


def test_a_weighting_is_compared_with_the_better_baseline_on_its_own_seeds():
    arms: dict[str, list[dict[str, Any]]] = {}
    for one in RUNS:
        arms.setdefault(one["arm"], []).append(one)
    assert keeps(arms, "meta")  # 79 and 80, on seed 0
    assert not keeps(arms, "gcs")  # 75 and 80
    assert keeps(arms, HELPED)
    assert not keeps(arms, ALONE)


def test_the_page_has_every_arm_and_says_which_keep_near_and_which_have_not_run():
    text = page(RUNS, FIRST)
    assert "| `meta` | yes | 1 | 79.0 | 0.50 | 0.25 | 0.12 | 0.12 | yes |" in text
    assert "| `gcs` | yes | 2 | 75.0 ± 7.1 | 1.00 |  |  |  | no |" in text
    assert "7 runs" in text
    flat = " ".join(text.split())
    assert "these stay within 2 points of the better baseline here: `meta`." in flat
    assert "these do **not** stay within 2 points of the better baseline here: `gcs`." in flat
    assert "Not run yet: `pcd`." in flat
