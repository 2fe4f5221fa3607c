"""A scikit-learn estimator: train a classifier of texts, with unlabelled texts if there are some.

from tartan.sklearn import TartanClassifier

classifier = TartanClassifier(steps=200).fit(texts, labels, unlabeled=more_texts)
classifier.predict_proba(["a new text"])
"""

import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d

from tartan.api import run
from tartan.data.divide import TooFewRowsError
from tartan.data.rows import check_characters
from tartan.data.scratch import scratch
from tartan.errors import ConfigError, DataError, ModelError
from tartan.inference.inputs import Input
from tartan.inference.model import long_texts
from tartan.inference.predictor import Predictor

TEXTS = "unlabeled.jsonl"
ROWS = "X.jsonl"
SET_BY_FIT = (
    "primary", "data", "data.path", "data.unlabelled", "run_dir", "hydra.run.dir", "resume",
)  # fmt: skip
"""Options that follow from X and y, or say where a run is: fit chooses them itself."""


class TartanClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Classifies texts with a Hugging Face encoder that is trained by `tartan.run`.

    Args:
        model: a model's directory or id on the Hugging Face hub; None for a small model with random
            weights, which suits trials.
        objectives: auxiliary objectives, trained on the texts of X and on unlabelled ones; a text
            is the name of one.
        weighting: how much each objective counts.
        steps: steps of the stage in which all objectives are trained.
        batch_size: rows of each objective in a step.
        validation_fraction: share of X that chooses the model, and that weightings such as `meta`
            learn from; between 0 and 1.
        device: `auto`, or a torch device.
        random_state: the seed, of the choice of the validation rows too; an int. None stands for 0.
        verbose: whether progress is printed.
        options: further options of a run by name: `{"optimizer.body_lr": 1e-5}`; all but those of
            `SET_BY_FIT`.

    Attributes:
        classes_: the labels, sorted.
        scores_: metrics on the rows that chose the model.
        history_: the lines of metrics.jsonl.
        n_iter_: steps taken.
        predictor_: the trained model and its tokenizer.
    """

    def __init__(
        self,
        model: str | None = None,
        *,
        objectives: Sequence[str] | str = ("mlm",),
        weighting: str = "static",
        steps: int = 400,
        batch_size: int = 32,
        validation_fraction: float = 0.2,
        device: str = "auto",
        random_state: int | None = None,
        verbose: bool = False,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.model = model
        self.objectives = objectives
        self.weighting = weighting
        self.steps = steps
        self.batch_size = batch_size
        self.validation_fraction = validation_fraction
        self.device = device
        self.random_state = random_state
        self.verbose = verbose
        self.options = options

    def fit(
        self,
        X: Iterable[str],  # noqa: N803
        y: Iterable[Any],
        unlabeled: Iterable[str] | None = None,
    ) -> Self:
        """Train on labelled texts, and on unlabelled ones if there are some.

        Args:
            X: [rows] texts: a list, an array or a column of a data frame.
            y: [rows] labels, of any type that `sklearn` takes for classes; or [rows, 1].
            unlabeled: texts for the auxiliary objectives, if there are any.

        Raises:
            ValueError: X are not texts, y are not classes, or an option cannot be used.
        """
        texts, labels = as_texts(X), as_labels(y)
        if len(texts) != len(labels):
            raise ValueError(f"X has {len(texts)} texts and y has {len(labels)} labels")
        classes, ids = np.unique(labels, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(f"y has {len(classes)} class: give at least two")
        names = [str(label) for label in classes]
        more = as_texts(() if unlabeled is None else unlabeled, "unlabeled", least=0)
        with scratch(Path(tempfile.gettempdir())) as directory:
            rows = zip(texts, ids.tolist(), strict=True)
            _write(directory / ROWS, ({"text": t, "label": names[i]} for t, i in rows))
            if more:
                _write(directory / TEXTS, ({"text": text} for text in more))
            try:
                trained = run(**self._options(directory, bool(more)), verbose=self.verbose)
            except TooFewRowsError as error:
                raise ValueError(
                    f"X has {len(texts)} texts, {len(set(texts))} of them different, of "
                    f"{len(classes)} classes: too few to hold out validation_fraction="
                    f"{self.validation_fraction} and one test row; give more texts, or change "
                    "validation_fraction"
                ) from error
            except (ConfigError, DataError, ModelError) as error:
                raise ValueError(str(error)) from error
            self.classes_ = classes
            self.predictor_ = Predictor.of(
                trained.model, trained.tokenizer, self.device, long_texts(trained.summary)
            )
            self.scores_ = dict(trained.scores["dev"])
            self.history_, self.n_iter_ = trained.history, int(trained.summary["steps"])
        # The model's outputs are in the order of its own labels.
        self._columns = [self.predictor_.labels.index(name) for name in names]
        return self

    def predict_proba(self, X: Iterable[str]) -> NDArray[np.float64]:  # noqa: N803
        """Return the probability of each class, [rows, classes], in the order of `classes_`.

        Args:
            X: [rows] texts.
        """
        check_is_fitted(self)
        predictor = self.predictor_
        rows = iter([Input(text) for text in as_texts(X)])
        logits = [outputs[0] for _, outputs, _ in predictor.outputs(rows, self.batch_size)]
        shares = np.array([each.double().softmax(0).numpy() for each in logits])
        return shares[:, self._columns]

    def predict(self, X: Iterable[str]) -> NDArray[Any]:  # noqa: N803
        """Return the most probable class of each text, [rows]; arguments as `predict_proba`."""
        best = self.predict_proba(X).argmax(1)
        found: NDArray[Any] = self.classes_[best]
        return found

    def _options(self, directory: Path, unlabelled: bool) -> dict[str, Any]:
        """Return the options of the run. ValueError if one cannot be used."""
        given = dict(self.options or {})
        for name in given.keys() & SET_BY_FIT:
            raise ValueError(
                f"options: {name} cannot be given: fit trains on X and y, one class for each text, "
                "in a directory that it removes; use tartan.run for other runs"
            )
        size = self.validation_fraction
        if not isinstance(size, Real) or not 0 < size < 1:
            raise ValueError(
                f"validation_fraction must be a number of more than 0 and less than 1, got {size!r}"
            )
        seed = 0 if self.random_state is None else self.random_state
        if not isinstance(seed, Integral) or isinstance(seed, bool) or seed < 0:
            raise ValueError(f"random_state must be an int from 0 or None, got {seed!r}")
        objectives = [self.objectives] if isinstance(self.objectives, str) else self.objectives
        if not isinstance(objectives, Sequence):
            raise ValueError(f"objectives must be a name or a list of names, got {objectives!r}")
        found: dict[str, Any] = {
            "data": "files",
            "data.path": directory / ROWS,
            "data.split.dev": size,
            "data.split.test": 1,  # a run has a test split; one row is lost to it
            "data.split.seed": seed,
            "objectives": list(objectives),
            "weighting": self.weighting,
            "steps": self.steps,
            "batch_size": self.batch_size,
            "device": self.device,
            "seed": seed,
            "report": False,
            "cache": False,
            "run_dir": directory / "run",
        }
        if unlabelled:
            found["data.unlabelled"] = str(directory / TEXTS)
        if self.model is not None:
            found |= {"model": "auto", "model.name": self.model}
        return found | given

    def __getstate__(self) -> dict[str, Any]:
        """Return the state to pickle: with the model on the CPU."""
        state: dict[str, Any] = dict(super().__getstate__())
        if "predictor_" in state and self.predictor_.runtime.device.type != "cpu":
            model, tokenizer = deepcopy(self.predictor_.model), self.predictor_.tokenizer
            state["predictor_"] = Predictor.of(model, tokenizer, long=self.predictor_.long)
        return state

    def __sklearn_tags__(self) -> Any:
        """Return what scikit-learn should know: X are texts, in one dimension."""
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        return tags


def as_texts(values: Iterable[Any], name: str = "X", least: int = 1) -> list[str]:
    """Return texts as a list.

    Raises:
        ValueError: they are a single text, are in two dimensions, or one is not a text.
    """
    if isinstance(values, str):
        raise ValueError(f"{name} is a single text: give a list of texts")
    shape = getattr(values, "shape", (0,))
    if len(shape) != 1:
        raise ValueError(f"{name} has {len(shape)} dimensions: give texts, one for each row")
    found = list(values)
    for number, text in enumerate(found):
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"{name}[{number}] is {text!r}: give a text that is not empty")
        _check_characters(text, "text", f"{name}[{number}]")
    if len(found) < least:
        raise ValueError(f"{name} has no texts")
    return [str(text) for text in found]


def as_labels(values: Any) -> NDArray[Any]:
    """Return classes as an array, [rows]; of a single column, with a warning.

    Raises:
        ValueError: a row has several labels or none, or they are not classes of one type.
    """
    found = np.asarray(values, dtype=object)
    if found.shape[1:] > (1,) or any(isinstance(each, list | tuple | set) for each in found.flat):
        raise ValueError(
            "y has several labels for a row: give one class for each text; "
            "tartan.run(primary='multilabel') predicts several"
        )
    for number, label in enumerate(found.flat):
        if _is_missing(label) or (isinstance(label, str) and not label.strip()):
            raise ValueError(f"y[{number}] is {label!r}: give every text a class")
        if isinstance(label, str):
            _check_characters(label, "label", f"y[{number}]")
    if len(set(map(_type, found.flat))) > 1:  # numpy would make texts or numbers of all
        raise ValueError("y has labels of different types: use one type throughout")
    labels: NDArray[Any] = column_or_1d(np.asarray(values), warn=True)
    try:
        check_classification_targets(labels)
    except TypeError:  # they cannot be sorted
        raise ValueError("y has labels of different types: use one type throughout") from None
    return labels


def _type(label: object) -> type:
    """Return the type of a label among those that are not mixed: text, boolean, and all others."""
    kinds = (str, bool)
    plain = label.item() if isinstance(label, np.generic) else label
    return next((kind for kind in kinds if isinstance(plain, kind)), object)


def _check_characters(text: str, what: str, place: str) -> None:
    """ValueError for a text that no file can hold."""
    try:
        check_characters(text, what, place)
    except DataError as error:
        raise ValueError(str(error)) from None


def _is_missing(value: object) -> bool:
    """Return whether a value is None, NaN or pandas' NA, whose comparison is not a boolean."""
    same = value == value  # noqa: PLR0124
    return value is None or not isinstance(same, bool | np.bool_) or not same


def _write(path: Path, rows: Iterable[Mapping[str, str]]) -> None:
    """Write JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
