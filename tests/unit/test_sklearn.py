"""The scikit-learn estimator, as scikit-learn's own tools use it."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_checks as checks
from sklearn.utils.estimator_checks import check_estimator

from tartan.data.divide import SplitOptions
from tartan.data.files import FilesOptions, load_files
from tartan.data.scratch import LOCK, PREFIX
from tartan.errors import DataError
from tartan.sklearn import TartanClassifier

pytestmark = pytest.mark.heavy

TINY = {
    "model.hidden_size": 16, "model.intermediate_size": 32, "model.layers": 1,
    "optimizer.body_lr": 0.01, "optimizer.head_lr": 0.01, "precision": "fp32", "eval.every": 40,
    "schedule": "finetune",
}  # fmt: skip
TEXTS = [f"{word} {word} number {n}" for n in range(12) for word in ("red", "blue")]
LABELS = ["warm", "cold"] * 12


def small(**more: Any) -> TartanClassifier:
    given: dict[str, Any] = {"steps": 80, "batch_size": 8, "device": "cpu", "objectives": ()}
    return TartanClassifier(**{**given, "options": TINY, **more})


@pytest.fixture(scope="module")
def fitted() -> TartanClassifier:
    """Trained jointly. MLM's gradient is much larger than the end task's, hence its scale."""
    options = {key: value for key, value in TINY.items() if key != "schedule"}
    options["objectives.mlm.scale"] = 0.03
    return small(objectives=("mlm",), options=options, random_state=1).fit(
        TEXTS, LABELS, unlabeled=["red or blue", "a red sky"]
    )


def test_a_fitted_estimator_has_classes_scores_and_history(fitted: TartanClassifier):
    assert list(fitted.classes_) == ["cold", "warm"]
    assert {"train/loss/mlm", "train/loss/classification"} <= fitted.history_[0].keys()
    shares = fitted.predict_proba(["red red number 50", "blue blue number 51"])
    assert shares.shape == (2, 2)
    np.testing.assert_allclose(shares.sum(1), 1)
    assert shares.argmax(1).tolist() == [1, 0]
    assert fitted.predict(["red red number 50", "blue blue number 51"]).tolist() == ["warm", "cold"]
    assert fitted.n_iter_ == fitted.history_[-1]["step"]
    assert set(fitted.scores_) == {"macro_f1", "accuracy"}


def test_what_a_killed_fit_leaves_is_found_by_the_next_run(monkeypatch: pytest.MonkeyPatch):
    """Its texts are in a locked directory of the kind that `sweep` removes."""
    found: list[Path] = []

    def dies(**options: Any) -> None:
        found.append(Path(options["data.path"]).parent)
        assert (found[0] / LOCK).is_file()
        raise KeyboardInterrupt

    monkeypatch.setattr("tartan.sklearn.run", dies)
    with pytest.raises(KeyboardInterrupt):
        small().fit(TEXTS, LABELS)
    assert found[0].name.startswith(PREFIX)
    assert not found[0].exists()


def test_a_refused_fit_leaves_the_estimator_as_it_was(fitted: TartanClassifier):
    copy = pickle.loads(pickle.dumps(fitted))
    with pytest.raises(ValueError, match="too few"):
        copy.fit(["red", "blue"], ["a", "b"])
    assert copy.predict(["red red number 50"]).tolist() == ["warm"]


def test_a_pickled_estimator_predicts_the_same(fitted: TartanClassifier):
    copy = pickle.loads(pickle.dumps(fitted))
    given = ["red sky", "blue", "no colour"]
    assert (copy.predict_proba(given) == fitted.predict_proba(given)).all()


@pytest.mark.parametrize("labels", [[1, 0], [10, 9], [True, False], [2.0, 1.0]], ids=str)
def test_classes_may_be_of_any_type_and_are_returned_as_they_are(labels: list[Any]):
    series = pd.Series(TEXTS, index=range(100, 124))
    found = small().fit(series, np.array(labels * 12))
    assert found.classes_.dtype == np.array(labels).dtype
    assert (
        found.predict(np.array(["red red number 50", "blue blue number 51"], dtype=object)).tolist()
        == labels
    )


def test_scikit_learns_tools_accept_it():
    searched = GridSearchCV(small(), {"steps": [1, 80]}, cv=2).fit(TEXTS, LABELS)
    assert searched.best_params_ == {"steps": 80}
    assert searched.best_score_ == 1
    lower = FunctionTransformer(lambda texts: [text.lower() for text in texts])
    pipe = make_pipeline(lower, small())
    scores = cross_val_score(pipe, [text.upper() for text in TEXTS], LABELS, cv=2)
    assert scores.tolist() == [1, 1]


def test_check_estimator_passes():
    """It checks that the estimator can be cloned: scikit-learn has no checks on texts."""
    with pytest.warns(UserWarning, match="Can't test estimator TartanClassifier"):
        results = check_estimator(small(), on_fail=None)
    assert [each["status"] for each in results] == ["passed"]


@pytest.mark.parametrize(
    "check",
    [
        checks.check_estimator_tags_renamed, checks.check_valid_tag_types,
        checks.check_estimator_repr, checks.check_no_attributes_set_in_init,
        checks.check_parameters_default_constructible, checks.check_get_params_invariance,
        checks.check_set_params, checks.check_do_not_raise_errors_in_init_or_set_params,
    ],
)  # fmt: skip
def test_the_checks_that_fit_nothing_pass(check: Any):
    check("TartanClassifier", small())


def test_parameters_are_kept_as_they_were_given():
    given = small(weighting="meta", options={"seed": 3})
    assert clone(given).get_params() == given.get_params()
    assert given.set_params(steps=7).steps == 7


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("a text", LABELS), r"^X is a single text: give a list of texts"),
        ((np.zeros((3, 2)), [0, 1, 0]), r"^X has 2 dimensions"),
        ((["red", 3], ["a", "b"]), r"^X\[1\] is 3: give a text that is not empty"),
        ((["red", " "], ["a", "b"]), r"^X\[1\] is ' '"),
        ((["red"], ["a", "b"]), r"^X has 1 texts and y has 2 labels"),
        ((["red", "blue"], ["a", "a"]), r"^y has 1 class: give at least two"),
        ((["red", "blue"], [0.5, 0.7]), r"Unknown label type: continuous"),
        ((["red", "blue"], ["a", "b"]), r"^X has 2 texts, 2 of them different, of 2 classes: too "
         r"few to hold out validation_fraction=0.2 and one test row; give more texts, or change "
         r"validation_fraction$"),
        ((["red", "blue"], ["", "b"]), r"^y\[0\] is '': give every text a class$"),
        ((["red", "blue"], ["a", " "]), r"^y\[1\] is ' ': give every text a class$"),
        ((["red", "a\0b"], ["a", "b"]), r"^X\[1\]: text holds a NUL character: remove it$"),
        ((["red", "blue"], ["a", "a\0b"]), r"^y\[1\]: label holds a NUL character: remove it$"),
        ((["red", "blue"], np.eye(2, dtype=int)), r"^y has several labels for a row: give one"),
        ((["red", "blue"], [["a"], ["a", "b"]]), r"^y has several labels for a row"),
        ((["red", "blue"], ["a", None]), r"^y\[1\] is None: give every text a class"),
        ((["red", "blue"], [1, float("nan")]), r"^y\[1\] is nan: give every text a class"),
        ((["red", "blue"], pd.Series(["a", pd.NA], dtype="string")), r"^y\[1\] is <NA>"),
        ((["red", "blue"], pd.Series(["a", 1])), r"^y has labels of different types"),
        ((["red", "blue"], ["a", 1]), r"^y has labels of different types"),
        ((["red", "blue"], [True, 2]), r"^y has labels of different types"),
        ((["red", "blue"], pd.Series([np.True_, 0.5])), r"^y has labels of different types"),
    ],
)  # fmt: skip
def test_what_cannot_be_learnt_is_a_value_error(arguments: Any, line: str):
    with pytest.raises(ValueError, match=line):
        small().fit(*arguments)


def test_a_column_of_labels_is_read_with_scikit_learns_warning():
    with pytest.warns(DataConversionWarning, match="A column-vector y was passed"):
        found = small(steps=1).fit(TEXTS, pd.DataFrame({"label": LABELS}), unlabeled=None)
    assert list(found.classes_) == ["cold", "warm"]


def test_options_are_checked_and_an_estimator_has_to_be_fitted():
    with pytest.raises(ValueError, match=r"^objectives=mln: no such option; did you mean 'mlm'"):
        small(objectives=["mln"]).fit(TEXTS, LABELS)
    with pytest.raises(ValueError, match=r"^objectives=mln: no such option; did you mean 'mlm'"):
        small(objectives="mln").fit(TEXTS, LABELS)
    with pytest.raises(ValueError, match=r"^objectives must be a name or a list .*, got None"):
        small(objectives=None).fit(TEXTS, LABELS)
    for size, given in ((1, "1"), (float("nan"), "nan"), ("0.2", "'0.2'"), (None, "None")):
        with pytest.raises(ValueError, match=rf"^validation_fraction must be .*, got {given}$"):
            small(validation_fraction=size).fit(TEXTS, LABELS)
    for state in (np.random.RandomState(0), -1, 1.5):
        with pytest.raises(ValueError, match=r"^random_state must be an int from 0 or None, got "):
            small(random_state=state).fit(TEXTS, LABELS)
    with pytest.raises(NotFittedError):
        small().predict(["red"])


@pytest.mark.parametrize(
    ("name", "value"),
    [("run_dir", "out"), ("resume", "out"), ("primary", "multilabel"), ("data.path", "mine.csv")],
)
def test_options_that_fit_chooses_itself_are_refused(name: str, value: str):
    with pytest.raises(
        ValueError, match=rf"^options: {name} cannot be given: fit trains on X and "
    ):
        small(options={**TINY, name: value}).fit(TEXTS, LABELS)


def test_the_random_state_chooses_the_validation_rows(monkeypatch: pytest.MonkeyPatch):
    """Two estimators differ by the rows that choose their models, and None stands for 0."""
    held_out = []

    def seen(**options: Any) -> None:
        sizes = SplitOptions(*(options[f"data.split.{name}"] for name in ("dev", "test", "seed")))
        found = load_files(FilesOptions(str(options["data.path"]), split=sizes))
        held_out.append((options["seed"], found.dev["text"][:]))
        raise DataError("seen")

    monkeypatch.setattr("tartan.sklearn.run", seen)
    for state in (None, 0, np.int64(1)):
        with pytest.raises(ValueError, match="seen"):
            small(random_state=state).fit(TEXTS, LABELS)
    assert held_out[0] == held_out[1]
    assert held_out[1][1] != held_out[2][1]
    assert held_out[2][0] == 1
