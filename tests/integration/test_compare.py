"""compare: two finished runs side by side."""

from collections.abc import Callable
from pathlib import Path

import tartan as library
from support.command import Answer, small_options, summary
from support.pages import check_self_contained, read


def test_compare_shows_scores_and_what_differs(tartan: Callable[..., Answer], tmp_path: Path):
    for seed in (0, 1):
        library.run(run_dir=f"run{seed}", seed=seed, verbose=False, **small_options())
    answer = tartan("compare", "run0", "run1")
    assert answer.status == 0, answer.err
    for run in ("run0", "run1"):
        assert f"{summary(tmp_path / run)['test']['macro_f1']:.4f}" in answer.out
    assert "a difference may be that of their seeds" in answer.out
    page = read(tmp_path / "comparison.html")
    check_self_contained(page)
    assert page.texts("h2") == ["Scores", "What differs", "Predictions on dev"]
    cells = page.cells()
    place = cells.index("seed")
    assert cells[place : place + 3] == ["seed", "0", "1"]
    assert tartan("compare", "run0", "run1").err == (
        "tartan: comparison.html is there already and is not overwritten: give out=FILE\n"
    )
    assert tartan("compare", "run0").err == "tartan: RUN is missing: give RUN RUN\n"
    refused = tartan("compare", "run0", "nothing", "out=other.html")
    assert refused.err.startswith("tartan: nothing has no finished run (summary.json is missing)")
    (tmp_path / "multirun.yaml").touch()
    assert tartan("compare", "run0", "multirun.yaml", "out=other.html").err == (
        "tartan: multirun.yaml is not a run's directory, but a file: give directories of runs, "
        "DIRECTORY/*/ for those of a sweep\n"
    )
    assert not (tmp_path / "other.html").exists()
