"""What runs and studies leave, made by hand, and pages read back."""

import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt

HOSTILE = (
    "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "a & b <i>", "{{ 7 * 7 }}",
    "$x_1$ | `code` *b*", "\u202egnp.exe\x00\x1b[31m", "]]></svg><b>", "'; --share: 9; x='",
)  # fmt: skip
"""Names and texts that a page must show and never act on."""
VOID = {"meta", "link", "br", "img", "hr", "input"}


@dataclass
class Element:
    """An element of a page."""

    tag: str
    attributes: dict[str, str]
    text: str = ""


@dataclass
class Page(HTMLParser):
    """A page as a parser reads it: its elements in order, each with all the text in it."""

    content: str
    elements: list[Element] = field(default_factory=list)
    open: list[Element] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.content)
        self.close()
        assert self.open == [], "an element is not closed"

    def __hash__(self) -> int:
        return id(self)

    def all(self, tag: str) -> list[Element]:
        return [element for element in self.elements if element.tag == tag]

    def texts(self, tag: str) -> list[str]:
        return [" ".join(element.text.split()) for element in self.all(tag)]

    def cells(self) -> list[str]:
        return [" ".join(e.text.split()) for e in self.elements if e.tag in ("td", "th")]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element.text += data


def read(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


def rendered(path: Path) -> Page:
    """A Markdown file as HTML, with whatever HTML it lets through."""
    text = path.read_text(encoding="utf-8")
    return Page(MarkdownIt("commonmark").enable("table").render(text))


def check_self_contained(page: Page) -> None:
    """Nothing is executed, nothing is fetched, no id stands twice."""
    ids = [e.attributes["id"] for e in page.elements if "id" in e.attributes]
    assert len(ids) == len(set(ids))
    for element in page.elements:
        assert element.tag not in ("script", "img", "iframe", "object", "embed", "base", "form")
        for name, value in element.attributes.items():
            assert not name.startswith("on"), (element.tag, name)
            assert not value.lower().startswith(("javascript:", "http:", "https:", "//")) or (
                name.startswith("xmlns")
            ), (name, value)
            if name in ("href", "xlink:href", "src") and value.startswith("#"):
                assert value[1:] in ids
    for style in page.all("style"):
        assert "url(" not in style.text
        assert "@import" not in style.text


def write_run(directory: Path, **changes: Any) -> Path:
    """A complete run of a classification; `changes` replace or add to its summary."""
    names = changes.pop("names", ["mlm"])
    labels = changes.pop("labels", ["cold", "warm"])
    lines = changes.pop("predictions", None)
    summary = {
        "seed": 3, "primary": "classification", "objectives": names, "weighting": "meta",
        "task": {"name": "colours", "kind": "classes", "labels": labels}, "model": "tiny",
        "stages": {"joint": "all", "finetune": "primary"}, "metric": "macro_f1",
        "probe_split": "dev", "dev": {"macro_f1": 0.7512, "accuracy": 0.75},
        "test": {"macro_f1": 0.7001, "accuracy": 0.71}, "best_step": 20, "steps": 40,
        "seconds": 83.0, "seconds_per_step": 0.5, "peak_memory_bytes": 834_000_000,
        "weights": {"classification": 0.6} | dict.fromkeys(names, 0.4),
        "skipped_steps": 0, "changes": [],
        "device": "cpu", "precision": "fp32", "versions": {"tartan": "0.1.0", "torch": "2.13.0"},
        "data": {split: {"rows": 4000, "sha256": f"{split}hash"}
                 for split in ("train", "dev", "test", "task")},
    } | changes  # fmt: skip
    records = [
        {"step": step, "stage": "joint" if step <= 20 else "finetune",
         "train/loss/classification": 1 / step, "eval/macro_f1": step / 60,
         "train/weight/classification": 0.6 if step <= 20 else 1.0,
         **{f"train/{kind}/{name}": value for name in names if step <= 20
            for kind, value in (("loss", 6 - step / 10), ("weight", 0.4), ("alignment", 0.1))}}
        for step in (10, 20, 30, 40)
    ]  # fmt: skip
    if lines is None:
        lines = [
            prediction(0, "snow", labels[0], labels[0], 0.9),
            prediction(1, "fire", labels[1], labels[0], 0.6),
            prediction(2, "sun " * 300, labels[1], labels[0], 0.8),
            prediction(3, "tea", labels[1], labels[1], 0.7),
        ]
    (directory / ".hydra").mkdir(parents=True)
    (directory / ".hydra/config.yaml").write_text(f"seed: 3\nnote: {json.dumps(names)}\n")
    (directory / "summary.json").write_text(json.dumps(summary))
    write_lines(directory / "metrics.jsonl", records)
    if lines:
        write_lines(directory / "predictions-dev.jsonl", lines)
    return directory


def prediction(row: int, text: str, label: Any, predicted: Any, probability: Any) -> dict[str, Any]:
    found = {"row": row, "text": text, "label": label, "predicted": predicted}
    return found | ({} if probability is None else {"probability": probability})


def write_lines(path: Path, lines: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
