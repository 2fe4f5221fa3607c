"""The tables of a study on a terminal."""

from rich.console import Console

from support.studies import made_up
from tartan.study.tables import arm_table, pair_table, weight_table


def test_labels_with_brackets_are_shown():
    """To rich they are markup, and one of a closing tag alone is an error."""
    results = made_up(labels=("MT [mlm,rtd]", "MT [/old]"))
    console = Console(width=160, color_system=None)
    with console.capture() as said:
        for table in (arm_table, pair_table, weight_table):
            console.print(table(results).rich())
    assert said.get().count("MT [mlm,rtd] ") == 2
    assert said.get().count("MT [/old] ") == 3
