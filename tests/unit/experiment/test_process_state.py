"""A program's own settings after a run."""

import csv
from pathlib import Path

import torch

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


def test_a_program_may_choose_the_precision_of_products_by_torchs_newer_switch():
    matmul = torch.backends.cuda.matmul
    before, matmul.fp32_precision = matmul.fp32_precision, "tf32"
    try:
        with restored_settings():
            matmul.fp32_precision = "ieee"
        assert matmul.fp32_precision == "tf32"
    finally:
        matmul.fp32_precision = before
