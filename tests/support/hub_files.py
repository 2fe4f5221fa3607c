"""Data sets of `data=hub` in files: written, read and refused."""

from pathlib import Path

import pytest

from tartan import LabelKind
from tartan.data import HubOptions, Task, load_task
from tartan.errors import TartanError

GOOD = {
    "csv": "text,label\na red,warm\na blue,cold\n",
    "tsv": "text\tlabel\na red\twarm\nb\tcold\n",
}
GOOD["json"] = '{"text": "a red", "label": "warm"}\n{"text": "a blue", "label": "cold"}\n'
GOOD["jsonl"] = GOOD["json"]


def write(
    directory: Path, first: str | bytes, kind: str = "csv", other: str | None = None, **files: str
) -> Path:
    """A dataset whose training file is given; dev and test are `other`, or good."""
    directory.mkdir(exist_ok=True)
    if other is None:
        other = GOOD[kind].replace("a red", "one more")
    contents = {"train": first, "validation": other, "test": other, **files}
    for split, content in contents.items():
        data = content.encode() if isinstance(content, str) else content
        (directory / f"{split}.{kind}").write_bytes(data)
    return directory


def load(directory: Path, labels: LabelKind = LabelKind.CLASS, **options: object) -> Task:
    return load_task("hub", HubOptions(name=str(directory), **options), labels)  # type: ignore[arg-type]


def refusal(directory: Path, labels: LabelKind = LabelKind.CLASS, **options: object) -> str:
    """The one line that refuses a dataset, without its directory."""
    with pytest.raises(TartanError) as caught:
        load(directory, labels, **options)
    message = str(caught.value)
    assert message.isprintable()
    return message.replace(f"{directory}/", "").replace(str(directory), "D")


def labels_of(task: Task) -> list[str]:
    return [task.labels[label] for label in task.train["label"]]
