"""The example outside of text: its program runs as its page says, and META moves its weights."""

import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).parents[2] / "examples" / "vision" / "train.py"


def test_the_image_classifier_trains_with_each_weighting():
    command = [sys.executable, str(PROGRAM), "--steps", "3", "--seeds", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = [line.split(" | ") for line in done.stdout.splitlines()]
    assert [row[0] for row in rows] == ["end task alone", "static", "meta"]
    alone, static, meta = ([float(w) for w in row[4].split(", ")] for row in rows)
    assert alone == [1.0]
    assert static == [0.33] * 3
    assert meta != static, "the dev gradient moves META's weights"
    assert abs(sum(meta) - 1) < 0.02
    assert all(0 <= float(row[column]) <= 100 for row in rows for column in (2, 3))


def test_the_example_is_under_a_hundred_lines():
    assert len(PROGRAM.read_text().splitlines()) < 100
