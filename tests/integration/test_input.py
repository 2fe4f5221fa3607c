"""Data that is unusual: it works, or it is one clear line; what is left out is counted."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from support.checkpoints import edit_json
from support.command import SMALL, Answer, summary, write_task
from tartan.testing import save_tiny

Tartan = Callable[..., Answer]
RUN = ["data=jsonl", "data.dir=data", "run_dir=out", *SMALL[:9]]
WARM, COLD = {"text": "red one", "label": "warm"}, {"text": "blue two", "label": "cold"}


def row(text: str, label: object = "warm") -> dict[str, object]:
    return {"text": text, "label": label}


def said(answer: Answer) -> list[str]:
    """The lines after the table at the start."""
    lines = answer.out.splitlines()
    last = next(index for index, line in enumerate(lines) if line.startswith("best by "))
    return lines[last + 1 :]


def refusal(answer: Answer) -> str:
    assert answer.status == 2
    assert re.fullmatch(r"tartan: [^\n]+\n", answer.err), answer.err
    return answer.err.removeprefix("tartan: ").rstrip()


def test_what_is_doubtful_about_the_data_is_counted_before_training(tartan: Tartan, tmp_path: Path):
    train = [WARM, COLD, row("red three"), row("red  three", "cold"), row("red four")]
    write_task(
        tmp_path / "data",
        train=train,
        dev=[row("red four"), row("blue five", "cold"), row("green " * 300)],
        test=[row("red four"), row("blue six", "cold")],
        domain="red one\nblue five\nall else\n",
    )
    answer = tartan("run", "objectives=[mlm,dapt]", *RUN)
    assert answer.status == 0, answer.err
    lines = said(answer)
    assert lines[:6] == [
        "1 text of the task corpus also appears in dev or test and was left out.",
        "1 text of the domain corpus also appears in dev or test and was left out.",
        "1 train row also appears in dev or test. It was kept; scores may be inflated.",
        "1 test row also appears in dev. It was kept; scores may be inflated.",
        "2 train rows have the same text as another row and another label. They were kept.",
        "1 text of dev was cut to 128 tokens.",
    ]
    assert summary(tmp_path / "out")["data"]["train"]["rows"] == 5


def test_a_run_with_fewer_labels_says_so(tartan: Tartan, tmp_path: Path):
    train = [row(f"red {n}") for n in range(6)] + [row(f"blue {n}", "cold") for n in range(3)]
    write_task(tmp_path / "data", train=train, dev=[WARM, COLD], test=[WARM, COLD])
    answer = tartan("run", "objectives=[mlm]", *RUN, "data.labelled=3", "data.labelled_seed=5")
    assert answer.status == 0, answer.err
    assert (
        "3 training rows of 9 kept their labels (data.labelled_seed=5: cold 1, warm 2). The task "
        "corpus has the texts of all."
    ) in answer.out.splitlines()
    found = summary(tmp_path / "out")["data"]
    labelled = {"of": 9, "seed": 5, "labels": {"cold": 1, "warm": 2}}
    assert (found["train"]["rows"], found["train"]["labelled"]) == (3, labelled)
    assert found["task"]["rows"] == 9


def test_fewer_rows_than_a_batch_train(tartan: Tartan, tmp_path: Path):
    write_task(
        tmp_path / "data", train=[WARM, COLD], dev=[row("red"), row("blue")], test=[row("x")]
    )
    answer = tartan("run", "objectives=[mlm]", "weighting=meta", *RUN, "batch_size=32")
    assert answer.status == 0, answer.err
    assert summary(tmp_path / "out")["steps"] > 0


def test_fewer_dev_rows_than_the_probe_needs_are_refused(tartan: Tartan, tmp_path: Path):
    write_task(tmp_path / "data", dev=[row("red")])
    assert refusal(tartan("run", "objectives=[mlm]", "weighting=meta", *RUN)) == (
        "weighting.probe.split=dev has 1 rows: the dev gradient needs at least 2, one to fit the "
        "probe and one to take the gradient on"
    )
    assert tartan("run", "objectives=[mlm]", *RUN).status == 0, "static needs no probe"


@pytest.mark.parametrize(
    ("labels", "names"),
    [((True, False), ["false", "true"]), ((10, 9), ["9", "10"]), (("b", "a"), ["a", "b"])],
)
def test_labels_of_every_type_are_named_in_the_model(tartan: Tartan, tmp_path: Path, labels, names):
    rows = [row("red", labels[0]), row("blue", labels[1])]
    write_task(tmp_path / "data", train=rows, dev=rows, test=rows, unlabelled="red blue green")
    answer = tartan("run", "schedule=finetune", *RUN)
    assert answer.status == 0, answer.err
    config = json.loads((tmp_path / "out/model/config.json").read_text())
    assert list(config["id2label"].values()) == names


def test_a_tokenizer_without_a_mask_token_is_refused_by_who_needs_one(
    tartan: Tartan, tmp_path: Path
):
    write_task(tmp_path / "data")
    tokenizer = AutoTokenizer.from_pretrained(save_tiny(tmp_path / "model"))
    tokenizer.mask_token = None
    tokenizer.save_pretrained(tmp_path / "model")
    model = ["model=auto", "model.name=model", *RUN[:9]]
    assert "objectives.mlm needs a mask token, and the model's tokenizer has none" in refusal(
        tartan("run", "objectives=[mlm]", *model)
    )
    assert tartan("run", "objectives=[clm]", *model).status == 0


def test_token_ids_that_the_body_does_not_embed_are_refused(tartan: Tartan, tmp_path: Path):
    """Even where there are few tokens, of which one has a high id."""
    write_task(tmp_path / "data")
    path = save_tiny(tmp_path / "model") / "tokenizer.json"
    content = json.loads(path.read_text())
    content["model"]["vocab"]["three"] = 900
    edit_json(path, model=content["model"])
    assert refusal(tartan("run", "model=auto", "model.name=model", *RUN[:9])) == (
        "model.name=model: its tokenizer has 901 tokens, its weights have embeddings for 69: "
        "use the tokenizer that the model was trained with"
    )


def cached() -> list[Path]:
    return sorted(Path(os.environ["HF_DATASETS_CACHE"], "tartan").glob("*/rows.arrow"))


def test_a_damaged_cache_is_said_and_changes_nothing(tartan: Tartan, tmp_path: Path):
    write_task(tmp_path / "data", domain=f"nobody else has this text of {tmp_path}\n")
    before = cached()
    command = ["objectives=[dapt]", *RUN]
    assert tartan("run", *command).status == 0
    mine = [path for path in cached() if path not in before]
    assert mine
    mine[0].write_bytes(b"damaged")
    again = tartan("run", *command, "run_dir=again")
    assert again.status == 0, again.err
    assert f"{mine[0].parent} was damaged and was made again." in again.out.splitlines()
    one, other = (summary(tmp_path / name) for name in ("out", "again"))
    assert (one["test"], one["data"]) == (other["test"], other["data"])


def test_a_run_goes_on_with_and_without_the_cache(tartan: Tartan, tmp_path: Path):
    write_task(tmp_path / "data", domain=f"another text of {tmp_path}\n")
    before = cached()
    assert tartan("run", *RUN, "cache=false").status == 0
    assert cached() == before
    (tmp_path / "out/summary.json").unlink()
    answer = tartan("run", *RUN, "cache=true")
    assert answer.status == 0, answer.err


ODD = [
    ({"train": '{"text": "a", "text": "b", "label": "warm"}'}, "train.jsonl:1: the row has the "
     "field 'text' twice: leave one"),
    ({"dev": [row("a", "lukewarm\n")]}, "dev.jsonl:1: label 'lukewarm\\n' does not occur in train"),
    ({"dev": [row("a", "w" * 10_000)]}, f"dev.jsonl:1: label '{'w' * 60}...' does not occur"),
    ({"train": [row("a", {"nested": 1})]}, "train.jsonl:1: label is an object: make it a string, "),
    ({"train": [row("a", 10**400), row("b", "x")]}, "train.jsonl:2: label is a string, but an "
     "integer at data/train.jsonl:1: use one type throughout"),
    ({"train": [row("a", float("nan"))]}, "train.jsonl:1: label is a float: make it a string, an"),
    ({"train": [row("a"), row("b")]}, "data: train has the one class 'warm': give it at least two"),
    ({"test": '{"text": "a", "te\\nxt": 1}'}, "(choose from: te\\nxt, text)"),
    ({"domain": "one\rtwo\r"}, "domain.txt:1: the file's lines end in carriage returns alone"),
    ({"unlabelled": "fine\nno\0text\n"}, "unlabelled.txt:2: the line holds a NUL byte"),
]  # fmt: skip


@pytest.mark.parametrize(("files", "line"), ODD)
def test_a_row_that_cannot_be_used_is_one_line(
    tartan: Tartan, tmp_path: Path, files: dict[str, object], line: str
):
    write_task(tmp_path / "data", **files)  # type: ignore[arg-type]
    assert line in refusal(tartan("run", *RUN))
    assert not (tmp_path / "out").exists()


def test_labels_that_look_alike_and_texts_without_a_token_are_reported(
    tartan: Tartan, tmp_path: Path
):
    train = [WARM, COLD, row("red three", "warm "), row("\u200b"), row("x" * 100_000)]
    write_task(tmp_path / "data", train=train, unlabelled="\u2060\nblue\n")
    answer = tartan("run", "objectives=[mlm]", *RUN)
    assert answer.status == 0, answer.err
    assert said(answer)[:5] == [
        r"These labels look alike and are separate classes: 'warm' (3 in train), 'warm\x20' (1 in "
        "train).",
        "1 text of train was tokenised to nothing: the model reads special tokens alone.",
        "1 text of train was tokenised to unknown tokens alone.",
        "2 texts of the task corpus were tokenised to nothing: the model reads special tokens "
        "alone.",
        "1 text of the task corpus was tokenised to unknown tokens alone.",
    ]


@pytest.mark.parametrize("command", ["run", "study"])
def test_a_file_in_another_encoding_is_one_line(tartan: Tartan, tmp_path: Path, command: str):
    (tmp_path / "data").mkdir()
    for split in ("train", "validation", "test"):
        (tmp_path / f"data/{split}.csv").write_bytes("text,label\né,a\nb,b\n".encode("cp1252"))
    answer = tartan(command, "data=hub", "data.name=data")
    assert re.fullmatch(
        r"tartan: [^\n]*data/train\.csv:2: byte 1 of the line \(0xe9, 'é' in Windows-1252\) is not "
        r"UTF-8: save the file as UTF-8 text[^\n]*\n",
        answer.err,
    ), answer.err
    assert "byte" not in answer.out
