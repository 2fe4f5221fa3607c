"""Tables of the page come from files, and from nowhere else."""

import json
from pathlib import Path

import pytest

from benchmarks import page
from benchmarks.figure import draw
from benchmarks.tables import scale_page, table
from tartan.errors import DataError

SIDE = {
    "device": "cpu",
    "precision": "fp32",
    "gradient_bytes": 1000,
    "seconds_per_step": 0.5,
    "cpu_seconds_per_step": 0.9,
    "tokens_per_second": 1234.5,
    "share_of_matrix_peak": 0.25,
    "resting_memory_bytes": 5 * 10**8,
    "peak_memory_bytes": 10**9,
    "agreement": None,
    "rounds": [],
}
ORIGIN = {
    "command": "python -m benchmarks.step --rounds 5",
    "date": "2024-01-02",
    "commit": "abc",
    "machine": {"processor": "a processor", "cores": 2},
    "versions": {"torch": "2.13", "transformers": "5.23"},
    "matrix_peak_flops": {"fp32": 1.5e11},
}
STEP = ORIGIN | {
    "setting": {"objectives": 4},
    "groups": {
        "gramian": {
            "sides": {
                "tartan-gramian": SIDE,
                "torchjd-gramian": SIDE | {"agreement": {"cosine": 0.99999}},
            },
            "ratios": [
                {
                    "over": "torchjd-gramian",
                    "under": "tartan-gramian",
                    "measure": "seconds",
                    "median": 2.0,
                    "cpu_median": 2.125,
                }
            ],
            "extra_memory": [
                {"side": "a", "above": "b", "bytes": 2000, "gradient_copies": 2.0},
            ],
            "refused": {"plain-meta": "it has another gradient"},
        }
    },
}
SCALE = ORIGIN | {
    "base": {"objectives": 2, "batch": 16, "length": 64, "model": "small"},
    "points": [
        {
            "axis": axis,
            "value": value,
            "sides": {"tartan-static-n": SIDE, "tartan-meta-n": SIDE},
            "ratios": [
                {"over": "tartan-meta-n", "under": "tartan-static-n", "median": 1.5},
            ],
            "extra_memory": [
                {"side": "tartan-meta-n", "above": "tartan-static-n", "gradient_copies": 1.9}
            ],
        }
        for axis, value in [("objectives", 1), ("objectives", 2), ("model", "small")]
    ],
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, report in (("step", STEP), ("scale", SCALE)):
        (tmp_path / f"{name}.json").write_text(json.dumps(report))
    monkeypatch.setattr(page, "HERE", tmp_path)
    monkeypatch.setattr(page, "PAGE", tmp_path / "page.md")
    monkeypatch.setattr(page, "FIGURE", tmp_path / "scale.svg")
    return tmp_path


TEXT = """Before.

<!-- step step.json -->
old
<!-- end -->

Between.

<!-- scale scale.json -->
<!-- end -->

After.
"""


def test_parts_between_markers_are_written_and_nothing_else(here: Path):
    filled = page.fill(TEXT)
    assert "old" not in filled
    for word in ("Before.", "Between.", "After."):
        assert filled.count(f"{word}\n") == 1
    assert "| TorchJD, mtl_backward of 4 objectives |" in filled
    assert (
        "| torchjd-gramian / tartan-gramian | time a step |         2.00 |        2.12 |" in filled
    )
    assert "plain-meta was not timed: it has another gradient." in filled
    assert "Unless it grows: objectives 2, batch 16, length 64, model small." in filled
    assert filled.count("](scale.svg)") == 1
    assert page.fill(filled) == filled


def test_the_page_is_written_with_its_figure(here: Path):
    page.PAGE.write_text(TEXT)
    assert page.main(["--check"]) == 2
    assert page.main([]) == 0
    assert page.main(["--check"]) == 0
    assert page.FIGURE.read_text().startswith("<?xml")


def test_what_was_not_measured_is_said_to_be_so(here: Path):
    filled = page.fill("<!-- step no.json -->\n<!-- end -->\n")
    assert filled == "<!-- step no.json -->\n\nNot measured yet.\n\n<!-- end -->\n"


def test_a_file_that_is_no_report_is_named(here: Path):
    (here / "step.json").write_text("{")
    with pytest.raises(
        DataError, match=r"benchmarks/step.json cannot be read .*: measure it again"
    ):
        page.fill(TEXT)


def test_the_same_report_gives_the_same_figure(tmp_path: Path):
    files = [tmp_path / "one.svg", tmp_path / "other.svg"]
    for file in files:
        draw(SCALE, file)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_table_reads_well_as_text():
    assert table(("side", "s"), [("one", "1.25"), ("longer name", "10")]) == (
        "| side        |    s |\n"
        "| ----------- | ---: |\n"
        "| one         | 1.25 |\n"
        "| longer name |   10 |"
    )


def test_scale_says_ratio_and_memory():
    row = next(line for line in scale_page(SCALE).splitlines() if line.startswith("| small"))
    assert [cell.strip() for cell in row.strip("|").split("|")] == [
        "small", "0.5", "0.5", "1.50", "25%", "25%", "1.00", "1.9",
    ]  # fmt: skip


def test_the_page_of_the_checkout_is_up_to_date():
    assert page.main(["--check"]) == 0
