"""`python -m tartan list`, in a process of its own."""

import subprocess
from collections.abc import Callable


def test_list_shows_every_plugin_its_distribution_and_its_cost(
    spawn: Callable[..., "subprocess.Popen[str]"],
):
    process = spawn("list")
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in out.splitlines()]
    shown = {row[0]: row[1:] for row in rows if row}
    assert shown["mlm"][0] == "auxiliary"
    assert shown["classification"][0] == "primary"
    assert shown["static"][1:] == ["1", "1"]
    assert shown["meta"][1:] == ["n + 1", "3"]
    assert all("tartan 0." in " ".join(row) for row in shown.values())
