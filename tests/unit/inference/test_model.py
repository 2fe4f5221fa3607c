"""What is read of a run's summary."""

from tartan.inference.model import (
    check_pairs,
    completed,
    named_columns,
    read_pairs,
    separator,
)


def summary(data: dict[str, str], **task: object) -> dict[str, object]:
    return {"task": task, "identity": {"parts": {"configuration": {"data": data}}}}


def test_an_older_summary_says_what_its_options_say():
    older = summary({"label_separator": "/", "pair_field": "text_pair"})
    assert (read_pairs(older), separator(older)) == (None, "/")
    assert named_columns(older) == {"pair": "text_pair"}
    for columns in ({"text": "a"}, {"text": "a", "pair": "b"}):
        check_pairs(None, columns, "file")


def test_a_summary_says_what_was_found_in_training():
    found = summary(
        {"label_separator": None, "pair_field": "text_pair"}, pairs=False, separator=";"
    )
    assert (read_pairs(found), separator(found)) == (False, ";")
    assert named_columns(found) == {}


def test_columns_that_were_found_in_training_come_before_more_usual_ones():
    found = summary({"text": None}, pairs=False, columns={"text": "title", "label": "topic"})
    named = named_columns(found)
    assert named == {"text": "title", "label": "topic"}
    assert completed({"text": None}, named, ["title", "description"]) == {"text": "title"}
    assert completed({"text": None}, named, ["text", "description"]) == {}
