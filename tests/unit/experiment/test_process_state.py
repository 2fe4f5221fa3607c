"""A program's own settings after a run."""

import csv
from pathlib import Path

from tartan.data.formats import open_table
from tartan.data.lines import LONGEST
from tartan.experiment.process_state import restored_settings


def test_the_longest_cell_that_csv_reads_is_that_of_the_program(tmp_path: Path):
    path = tmp_path / "mine.csv"
    path.write_text("text\nred\n")
    before = csv.field_size_limit(1234)
    try:
        with restored_settings():
            assert list(open_table([path]).rows(()))
            assert csv.field_size_limit() == LONGEST
        assert csv.field_size_limit() == 1234
    finally:
        csv.field_size_limit(before)
