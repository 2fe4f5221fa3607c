"""What is compared of two runs."""

import json
from pathlib import Path

from tartan.inference.comparison import pair_table


def test_a_set_of_labels_is_right_in_any_order(tmp_path: Path):
    given, runs = ["insult", "toxic"], []
    predicted = {"a": [["toxic", "insult"], []], "b": [["toxic"], ["toxic", "insult"]]}
    for name, labels in predicted.items():
        lines = ({"label": given, "predicted": each, "probabilities": {}} for each in labels)
        (tmp_path / name).mkdir()
        file = tmp_path / name / "predictions-dev.jsonl"
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))
        runs.append(tmp_path / name)
    summary = {"data": {"dev": {"sha256": "same"}}}
    ((_, here, there, p),) = pair_table(runs, [summary, summary]).rows
    assert (here, there, p) == ("1", "1", "1.000")
