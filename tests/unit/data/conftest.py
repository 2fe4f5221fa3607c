import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import datasets
import pytest

ROWS = {
    "train": [("a cat sat", "animal"), ("a dog ran", "animal"), ("an oak grew", "plant")],
    "dev": [("a cow ate", "animal"), ("a fern bent", "plant")],
    "test": [("a pig lay", "animal"), ("a rose died", "plant")],
}

MakeTask = Callable[..., Path]


@pytest.fixture(autouse=True)
def _no_shared_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture
def jsonl(tmp_path: Path) -> MakeTask:
    """Writes a task directory; a file given as bytes or text replaces the default one."""

    def write(**files: str | bytes) -> Path:
        directory = tmp_path / "pets"
        directory.mkdir()
        for split, rows in ROWS.items():
            lines = [json.dumps({"text": text, "label": label}) for text, label in rows]
            (directory / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
        for name, content in files.items():
            suffix = "txt" if name in ("unlabelled", "domain") else "jsonl"
            data = content if isinstance(content, bytes) else content.encode()
            (directory / f"{name}.{suffix}").write_bytes(data)
        return directory

    return write


def columns(rows: list[tuple[str, Any]]) -> Mapping[str, list[Any]]:
    return {"text": [text for text, _ in rows], "label": [label for _, label in rows]}


@pytest.fixture
def dictionary() -> datasets.DatasetDict:
    """The same task as a dataset, with class ids in an order that is not alphabetical."""
    features = datasets.Features(
        text=datasets.Value("string"), label=datasets.ClassLabel(names=["plant", "animal"])
    )
    parts = {"train": "train", "validation": "dev", "test": "test"}
    return datasets.DatasetDict(
        {
            split: datasets.Dataset.from_dict(columns(ROWS[ours]), features=features)
            for split, ours in parts.items()
        }
    )
