"""`python -m tartan data`: what a run would see, before any training."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from support.command import SMALL, Answer

Tartan = Callable[..., Answer]


def test_what_a_run_would_see_is_shown(tartan: Tartan, tmp_path: Path):
    rows = [f"text {n},{'rare' if n % 20 == 0 else 'usual'}" for n in range(100)]
    (tmp_path / "mine.csv").write_text("\n".join(["Review,Class", *rows, "text 1,Usual"]))
    (tmp_path / "test.csv").write_text("Review,Class\ntext 1,usual\nnew text,rare\n")
    answer = tartan("data", "mine.csv", "data.test=test.csv", "data.split.dev=10")
    assert (answer.status, answer.err) == (0, "")
    assert answer.out.splitlines() == [
        "Read train from mine.csv, test from test.csv; text from column 'Review', label from "
        "column 'Class'.",
        "mine.csv was divided into train 91, dev 10 rows: stratified, 1 group of identical texts "
        "kept together, data.split.seed=0.",
        "dev has no row with 'Usual': too few different texts.",
        "",
        "                   train      dev     test",
        "rows                  91       10        2",
        "repeated texts         1        0        0",
        "words, median          2        2        2",
        "words, 95 %            2        2        2",
        "words, longest         2        2        2",
        "label usual     86 (95%)  9 (90%)  1 (50%)",
        "label rare        4 (4%)  1 (10%)  1 (50%)",
        "label Usual       1 (1%)   0 (0%)   0 (0%)",
        "task corpus: 89 texts",
        "",
        "2 texts of the task corpus also appear in dev or test and were left out.",
        "2 train rows also appear in dev or test. They were kept; scores may be inflated.",
        "2 train rows have the same text as another row and another label. They were kept.",
        "These labels look alike and are separate classes: 'Usual' (1 in train), 'usual' (86 in "
        "train).",
        "'usual' is the label of 95% of train: a model may predict it always; "
        "primary.class_weights=balanced counts classes equally.",
        "",
        "python -m tartan run data=files data.path=mine.csv data.test=test.csv data.split.dev=10",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.csv", "test.csv"]


def test_labels_are_shown_in_one_line_whatever_they_hold(tartan: Tartan, tmp_path: Path):
    """By the command and by a run: escape codes, line breaks and long names."""
    red, broken, long = "\x1b[31mred", "a\nb", "x" * 5000
    for split, size in (("train", 24), ("dev", 8), ("test", 8)):
        rows = [{"text": f"{split} {n}", "label": red} for n in range(size - 2)]
        rows += [{"text": f"{split} other", "label": broken}, {"text": split, "label": long}]
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    slow = ["optimizer.head_lr=1e-6", "optimizer.body_lr=1e-6", "primary.class_weights=balanced"]
    small = [text for text in SMALL if not text.startswith("data.")]
    spelled, cut = r"\x1b[31mred", f"{'x' * 60}..."
    seen = tartan("data", ".")
    assert (seen.status, seen.err) == (0, "")
    assert f"'{spelled}' is the label of 92% of train: " in seen.out
    answer = tartan("run", "data=files", "data.path=.", *small, *slow)
    assert answer.status == 0, answer.err
    labels = rf"3 labels ({spelled}, a\nb, {cut})"
    assert f"data      files: train 24, dev 8, test 8; {labels}" in answer.out.splitlines()
    assert "The best model predicts only '" in answer.out
    for out in (seen.out, answer.out):
        assert "\x1b" not in out
        assert "x" * 61 not in out


def test_the_options_that_a_refusal_shows_are_accepted(tartan: Tartan, tmp_path: Path):
    rows = [f"{n},some text {n},{'ab'[n % 2]}" for n in range(40)]
    (tmp_path / "mine.csv").write_text("\n".join(["No,Kunden text,Zuständig", *rows]))
    refused = tartan("data", "mine.csv")
    assert refused.status == 2
    shown = shlex.split(refused.err.partition("for example ")[2])
    assert shown == ['data.text="Kunden text"', 'data.label="Zuständig"']
    answer = tartan("data", "mine.csv", *shown)
    assert answer.status == 0, answer.err
    assert "text from column 'Kunden text', label from column 'Zuständig'" in answer.out
    command = shlex.split(answer.out.splitlines()[-1])[3:]
    composed = tartan(*command, "--cfg", "job")
    assert composed.status == 0, composed.err
    assert "\n  text: Kunden text\n  label: Zuständig\n" in composed.out


def test_a_refusal_names_several_columns_that_may_be_the_label_with_values(
    tartan: Tartan, tmp_path: Path
):
    teams = ["Login", "Refund", "Refund", "Delivery", "", "Bugs", ""]
    rows = [
        f"{n},some text {n},{'12'[n % 2]},{teams[n % 7]},{'open' if n % 3 else 'shut'},de"
        for n in range(70)
    ]
    header = "No,Kunden text,Prio,Team / zuständig,State,Language"
    (tmp_path / "mine.csv").write_text("\n".join([header, *rows]))
    assert (
        tartan("data", "mine.csv")
        .refusal()
        .endswith(
            "name the columns, for example 'data.text=\"Kunden text\"' and one of data.label=State "
            "(open, shut), 'data.label=\"Team / zuständig\"' (Refund, Login, Delivery, ...), "
            "data.label=Prio (1, 2)\n"
        )
    )


@pytest.mark.parametrize("command", ["data mine.csv", "run data=files data.path=mine.csv"])
@pytest.mark.parametrize("listed", ['[Subject,"Text (long)"]', "Subject, Text (long)"])
def test_a_list_of_text_columns_is_refused_with_the_option_for_two(
    tartan: Tartan, tmp_path: Path, command: str, listed: str
):
    rows = [f"s {n},long {n},{'ab'[n % 2]}" for n in range(40)]
    (tmp_path / "mine.csv").write_text("\n".join(["Subject,Text (long),label", *rows]))
    refused = tartan(*command.split(), f"data.text={listed}").refusal()
    assert refused == (
        "tartan: data.text names one column, got 2: data.text=Subject "
        "'data.pair=\"Text (long)\"' reads two as a pair; join more of them in the file\n"
    )
    remedy = shlex.split(refused.partition("got 2: ")[2].partition(" reads")[0])
    assert tartan("data", "mine.csv", *remedy).status == 0


def test_the_path_may_be_written_as_for_run(tartan: Tartan, tmp_path: Path):
    rows = [f"text {n},{'ab'[n % 2]}" for n in range(40)]
    (tmp_path / "a=b.csv").write_text("\n".join(["text,label", *rows]))
    shown = tartan("data", "a=b.csv", "data.split.dev=10")
    assert shown.status == 0, shown.err
    command = shlex.split(shown.out.splitlines()[-1])
    assert command[:4] == ["python", "-m", "tartan", "run"]
    assert tartan("data", *command[4:]) == shown


def test_numbers_and_sets_are_shown(tartan: Tartan, tmp_path: Path):
    rows = [f"text {n},{n}" for n in range(20)]
    (tmp_path / "numbers.csv").write_text("\n".join(["text,score", *rows]))
    answer = tartan("data", "numbers.csv", "primary=regression")
    assert answer.status == 0, answer.err
    assert "number, smallest" in answer.out
    sets = [f"text {n},{['a|b', 'a', ''][n % 3]}" for n in range(30)]
    (tmp_path / "sets.csv").write_text("\n".join(["text,labels", *sets]))
    answer = tartan("data", "sets.csv", "primary=multilabel", "data.label_separator=|")
    assert answer.status == 0, answer.err
    assert "label a" in answer.out


def test_a_subset_of_the_labels_is_shown_as_a_run_takes_it(tartan: Tartan, tmp_path: Path):
    rows = [f"text {n},{'ab'[n % 2]}" for n in range(100)]
    (tmp_path / "mine.csv").write_text("\n".join(["text,label", *rows]))
    answer = tartan("data", "mine.csv", "data.labelled=20", "data.labelled_seed=3")
    assert (answer.status, answer.err) == (0, "")
    lines = answer.out.splitlines()
    assert lines[2] == (
        "20 training rows of 70 kept their labels (data.labelled_seed=3: a 10, b 10). The task "
        "corpus has the texts of all."
    )
    assert "rows 20 15 15" in [" ".join(line.split()) for line in lines]
    assert "task corpus: 70 texts" in lines
    assert lines[-1].endswith("data.path=mine.csv data.labelled=20 data.labelled_seed=3")
    assert (
        tartan("data", "mine.csv", "data.labelled=71")
        .refusal()
        .startswith(
            "tartan: data.labelled=71: mine has 70 labelled training rows: give between 1 and 70"
        )
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "data takes one file or directory, found none"),
        (("a", "b"), "data takes one file or directory, found a b"),
        (("--json", "a"), "'--json': options are written name=value; see data --help"),
        (("nowhere.csv",), "nowhere.csv: no such file or directory: check the path"),
        (("x.csv", "model=tiny"),
         "model=tiny is not an option of data: it takes primary=... and data.NAME=...; give the "
         "others to run"),
        (("x.csv", "data.path=y.csv"), "data takes one file or directory, found x.csv y.csv"),
        (("data=hub", "x.csv"),
         "data=hub: this command shows data=files; give its file or directory"),
        (("x.csv", "data.txt=a"), "data.txt: no such option; did you mean 'text'?"),
        (("x.csv", "data.split=0.2"),
         "data.split must be a map of options, got 0.2: set one of its options, "
         "data.split.dev=..."),
        (("x.csv", "data.split=0.2", "data.split.dev=0.1"),
         "data.split.dev=0.1: the option split is given as 0.2"),
        (("x.csv", "data.source=hub"),
         "data=hub: this command shows data=files; give its file or directory"),
        (("x.csv", "primary=mlm"),
         "primary=mlm cannot be the end task: it predicts nothing. Choose classification, "
         "multilabel, regression or tokens"),
    ],
)  # fmt: skip
def test_what_cannot_be_shown_is_one_line(tartan: Tartan, arguments, message: str):
    answer = tartan("data", *arguments)
    assert (answer.status, answer.err) == (2, f"tartan: {message}\n")


def test_help_says_what_is_shown(tartan: Tartan):
    answer = tartan("data", "--help")
    assert answer.status == 0
    assert answer.out.startswith("usage: python -m tartan data PATH")
