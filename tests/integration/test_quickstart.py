"""docs/quickstart.md: its commands, and what they print, on the files in examples/."""

import csv
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from support.command import SMALL, Answer

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/quickstart.md").read_text(encoding="utf-8")
SHOWN = [block.splitlines() for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)]
COMMANDS = {
    lines[n].removeprefix("$ "): lines[n + 1 :]
    for lines in SHOWN
    for n in [max(n for n, line in enumerate(lines) if line.startswith("$ "))]
    if lines[n].startswith("$ python -m tartan")
}
SHORT = [option for option in SMALL if not option.startswith("data.")]
VARIES = ("device ", "model ", "best model ", "...")
"""How lines begin that depend on the machine, or on how long a run trains."""


@pytest.mark.heavy
def test_a_new_users_commands_do_what_the_page_shows(tartan: Callable[..., Answer], tmp_path: Path):
    for name in ("tickets.csv", "new_tickets.csv"):
        shutil.copy(ROOT / "examples" / name, tmp_path)
    assert len(COMMANDS) == 4
    for command, shown in COMMANDS.items():
        arguments = shlex.split(command)[3:]
        trains = arguments[0] == "run"
        answer = tartan(*arguments, *(SHORT if trains else []))
        assert answer.status == (2 if shown[0].startswith("tartan: ") else 0), answer.err
        said = (answer.out + answer.err).splitlines()
        if trains:
            expected = [line for line in shown if not line.startswith(VARIES)]
            assert [line for line in said if line in expected] == expected
        else:
            assert said == shown
    with (tmp_path / "predictions.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["Ticket No"] for row in rows] == ["1500", "1501", "1502"]
    labels = ("Bug report", "Delivery", "Login", "Refund")
    assert list(rows[0])[2:] == ["predicted", "probability", *(f"probability_{n}" for n in labels)]
    evaluated = tartan("evaluate", "outputs/tickets", "tickets.csv", "resamples=5")
    assert evaluated.out.startswith(
        "500 rows of tickets.csv (text from 'Kundentext', label from 'Zuständig')\n"
    )
