"""What is predicted: texts, pairs or words, as the model reads them."""

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tartan.batch import LabelKind
from tartan.errors import DataError
from tartan.inference.inputs import Input, as_inputs

CLASS, TAGS = LabelKind.CLASS, LabelKind.TAGS


@pytest.mark.parametrize("words", ["in  Rome", ["in", "Rome"], ("in", "Rome")])
def test_a_text_to_tag_is_divided_at_white_space(words: Any):
    assert list(as_inputs([words], TAGS, False)) == [Input("in Rome", words=("in", "Rome"))]


@pytest.mark.parametrize("texts", [pd.Series(["red", "blue"]), np.array(["red", "blue"])])
def test_a_column_of_a_table_is_texts(texts: Any):
    assert list(as_inputs(texts, CLASS, False)) == [Input("red"), Input("blue")]


@pytest.mark.parametrize(
    ("texts", "kind", "pairs", "line"),
    [
        ("red", CLASS, False, "texts is a single text: give a list of texts"),
        (pd.DataFrame({"text": ["red"]}), CLASS, False,
         "texts is a DataFrame: give a list of texts, or one column of a table"),
        (np.array([["red", "blue"]]), CLASS, True,
         "texts is a ndarray: give a list of texts, or one column of a table"),
        ({"text": ["red"]}, TAGS, False,
         "texts is a dict: give a list of texts, or one column of a table"),
        (["a", ["red", "sky"]], CLASS, False,
         "texts[1] is a list and the model does not tag words: give a text or a tuple of two"),
        ([("a", "b", "c")], CLASS, True, "texts[0] has 3 entries: give a pair of texts"),
        (["a", ("a", "b")], CLASS, None, "texts[1] is a pair of texts: give single texts"),
        ([("a", "b"), "a"], CLASS, None,
         "texts[1] is a single text: give pairs of texts, as tuples"),
        (["a"], CLASS, True, "texts[0] is a single text: give pairs of texts, as tuples"),
        (["a", 3], TAGS, False, "texts[1]: text is an integer: make it a string"),
        ([[]], TAGS, False, "texts[0]: words is empty: fill it or remove the row"),
    ],
)  # fmt: skip
def test_what_the_model_does_not_read_is_refused(
    texts: Any, kind: LabelKind, pairs: bool | None, line: str
):
    with pytest.raises(DataError, match=f"^{re.escape(line)}$"):
        list(as_inputs(texts, kind, pairs))
