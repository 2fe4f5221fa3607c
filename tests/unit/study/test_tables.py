"""The tables of a study on a terminal."""

from dataclasses import replace

from rich.console import Console

from support.studies import made_up
from tartan.study.tables import arm_table, pair_table, run_records, run_table, weight_table


def test_labels_with_brackets_are_shown():
    """To rich they are markup, and one of a closing tag alone is an error."""
    results = made_up(labels=("MT [mlm,rtd]", "MT [/old]"))
    console = Console(width=160, color_system=None)
    with console.capture() as said:
        for table in (arm_table, pair_table, weight_table):
            console.print(table(results).rich())
    assert said.get().count("MT [mlm,rtd] ") == 2
    assert said.get().count("MT [/old] ") == 3


def test_a_run_that_failed_after_it_had_finished_is_shown_with_its_figures():
    found = made_up()
    late = replace(found.runs[0], error="no space left")
    table = run_table(replace(found, runs=(late,)))
    assert table.rows == [
        ("finetune/seed0", "finished, then failed", "0.4000", "0.4000", "6", "48", "2")
    ]
    (record,) = run_records(replace(found, runs=(late,)))
    assert (record["status"], record["error"]) == ("finished", "no space left")
