"""What the contract asks of metrics, and of objectives that can be the end task."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from tartan.batch import Batch
from tartan.experiment.model import own_head
from tartan.objective import PrimaryObjective
from tartan.testing.contract import Broken, NotApplicable, require
from tartan.testing.trial import Trial

CLOSE = 1e-4
"""The largest difference of two sums of a metric, as a share of the sum or by itself."""


def sums(trial: Trial, prepared: Sequence[Batch]) -> dict[str, Tensor]:
    """Return the metrics summed over prepared batches; Broken unless each is one number."""
    found: dict[str, Tensor] = {}
    for batch in prepared:
        for name, value in trial.loss(batch).metrics.items():
            require(value.ndim == 0, f"the metric {name} has shape {list(value.shape)}, not []")
            found[name] = found.get(name, torch.zeros(())) + value.detach().cpu().double()
    return found


def require_sums(whole: dict[str, Tensor], parts: dict[str, Tensor]) -> None:
    """Broken unless the metrics of a batch are the sums of its micro-batches' metrics."""
    for name, value in whole.items():
        other = parts.get(name, torch.zeros(()).double())
        require(
            torch.allclose(value.double(), other.double(), rtol=CLOSE, atol=CLOSE),
            f"the metric {name} of a batch is {value.item():.6g}, and its micro-batches' sum is "
            f"{other.item():.6g}",
        )


def end_task(trial: Trial) -> PrimaryObjective:
    """Return the trial's objective. NotApplicable if it cannot be the end task."""
    if not isinstance(trial.objective, PrimaryObjective):
        raise NotApplicable("it cannot be the end task")
    return trial.objective


def require_scores(trial: Trial) -> None:
    """Broken unless an end task predicts each item and scores the predictions of its rows."""
    task, batch = end_task(trial), trial.prepare(trial.collate())
    with torch.no_grad():
        predicted = task.predict(trial.body(batch.inputs), batch).float().cpu()
        outputs = task.in_label_units(predicted)
    for name, made in (("predict", predicted), ("in_label_units", outputs)):
        require(
            len(made) == batch.items, f"{name} returns {len(made)} outputs for {batch.items} items"
        )
    task.choose(outputs, trial.rows)
    scores = task.score(outputs, trial.rows)
    require(
        scores.keys() == set(task.metrics),
        f"score returns {', '.join(scores) or 'nothing'}, and `metrics` are "
        f"{', '.join(task.metrics)}",
    )
    bad = [f"{name} {value}" for name, value in scores.items() if not math.isfinite(value)]
    require(not bad, f"score returns {', '.join(bad)}")


def require_family_head(trial: Trial) -> None:
    """Broken unless an end task's model can be exported: a run refuses it otherwise."""
    found = own_head(end_task(trial))
    require(found is None, f"{found}, not one of context.head(...): its model cannot be exported")


def require_probe(trial: Trial) -> None:
    """Broken unless a probe can take the place of an end task's head."""
    task, batch = end_task(trial), trial.prepare(trial.collate())
    with torch.no_grad():
        hidden = trial.body(batch.inputs)
        expected = list(task.predict(hidden, batch).shape)
        features = task.features(hidden, batch).float()
    wanted = [batch.items, trial.body.hidden_size]
    shape = list(features.shape)
    require(shape == wanted, f"its features have shape {shape}, not [items, hidden]: {wanted}")
    probe = task.probe(0.1).to(features.device)
    try:
        outputs = probe(features)
    except RuntimeError as error:
        raise Broken(f"its probe cannot read its features: {error}") from error
    found = list(outputs.shape)
    require(found == expected, f"its probe's outputs have shape {found}, and the head's {expected}")
    loss = task.criterion(outputs, batch)
    good = loss.ndim == 0 and bool(loss.isfinite()) and loss.requires_grad
    require(good, f"the criterion of its probe's outputs is {loss}")
