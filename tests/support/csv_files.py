"""CSV files of labelled texts, and the task that `data=files` makes of a path."""

from pathlib import Path

from tartan.batch import LabelKind
from tartan.data.files import FilesOptions, load_files


def csv(rows, header=("text", "label"), separator=",") -> str:
    def cell(value: object) -> str:
        return '"' + str(value).replace('"', '""') + '"'

    return "\n".join(separator.join(map(cell, row)) for row in (header, *rows)) + "\n"


def numbered(*labels: str):
    return [(f"text {number}", label) for number, label in enumerate(labels)]


def load(path: Path, kind: LabelKind = LabelKind.CLASS, splits=("train", "dev", "test"), **options):
    return load_files(FilesOptions(str(path), **options), kind, splits)
