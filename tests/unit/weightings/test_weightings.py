"""Weightings: the released implementation's values, and what holds for all of them."""

import json

import numpy
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.testing import assert_close

from support.shared import SHARED
from tartan import ConfigError, Needs, Shared, Signals, Term, backward
from tartan_weightings.meta import Meta, MetaOptions
from tartan_weightings.static import Static, StaticOptions

GOLDEN = SHARED / "golden"
NAMES = ("task", "mlm", "rtd")
golden = pytest.mark.skipif(not GOLDEN.is_dir(), reason="the recorded vectors are not here")


class Recorded:
    """The released weighter's recorded inputs and outputs."""

    def __init__(self, name: str) -> None:
        self.outputs = json.loads((GOLDEN / f"{name}.json").read_text())
        self.inputs = numpy.load(GOLDEN / f"{name}.npz")
        self.names = [self.outputs["primary"], *self.outputs["auxiliary"]]
        self.body = [nn.Parameter(torch.zeros(s)) for s in self.outputs["body_shapes"]]

    def term(self, update: int, task: str) -> Term:
        """A loss whose gradient on the body is what was recorded, micro-batches averaged."""
        micro = self.outputs["accumulation"]
        return Term([lambda m=m: self._loss(update, m, task) for m in range(micro)], micro)

    def _loss(self, update: int, micro: int, task: str) -> Tensor:
        total = torch.zeros(())
        for index, parameter in enumerate(self.body):
            key = f"u{update:02}/a{micro}/{task}/{index:02}"
            if key in self.inputs.files:
                total = total + (parameter * torch.from_numpy(self.inputs[key])).sum()
        return total

    def replay(self) -> list[tuple[Tensor, Tensor, Signals]]:
        """Logits, weights and signals after each update, by tartan."""
        meta = Meta(MetaOptions(lr=self.outputs["meta_lr_weight"]), tuple(self.names))
        shared, found = Shared(self.body), []
        for update in range(self.outputs["n_updates"]):
            terms = [self.term(update, name) for name in self.names]
            signals = backward(terms, meta, shared, dev=self.term(update, "dev"))
            meta.update(signals)
            found.append((meta.state_dict()["logits"], meta.weights(), signals))
        return found

    def expected(self, update: int, what: str) -> Tensor:
        values = self.outputs["updates"][update][what]
        return torch.tensor([values[name] for name in self.names])


@golden
def test_meta_follows_the_released_implementation():
    recorded = Recorded("weighter_acc1")
    for update, (logits, weights, signals) in enumerate(recorded.replay()):
        cosines = recorded.outputs["micro_steps"][update]["cos"]
        expected = torch.tensor([cosines[name] for name in recorded.names])
        assert_close(signals.alignment, expected, rtol=0, atol=1e-5)
        assert_close(logits, recorded.expected(update, "logits"), rtol=0, atol=1e-5)
        assert_close(weights, recorded.expected(update, "softmax"), rtol=0, atol=1e-5)


@golden
def test_meta_starts_where_the_released_implementation_starts():
    recorded = Recorded("weighter_acc1")
    start = Meta(MetaOptions(), tuple(recorded.names)).state_dict()["logits"]
    expected = [recorded.outputs["initial_logits"][name] for name in recorded.names]
    assert_close(start, torch.tensor(expected))


@golden
def test_under_accumulation_meta_measures_the_whole_batch_and_not_the_mean_of_micro_batches():
    """The released code averages the cosines of micro-batches; tartan takes that of the mean."""
    recorded = Recorded("weighter_acc2")
    (_, _, signals), *_ = recorded.replay()
    micro_steps = [s for s in recorded.outputs["micro_steps"] if s["update"] == 0]
    averaged = torch.tensor(
        [sum(s["cos"][name] for s in micro_steps) / len(micro_steps) for name in recorded.names]
    )

    def gradient(task: str) -> Tensor:
        loss = sum(piece() for piece in recorded.term(0, task).pieces)
        grads = torch.autograd.grad(loss, recorded.body, allow_unused=True)
        pairs = zip(grads, recorded.body, strict=True)
        return torch.cat([(torch.zeros_like(p) if g is None else g).flatten() for g, p in pairs])

    whole = [torch.cosine_similarity(gradient(n), gradient("dev"), dim=0) for n in recorded.names]
    assert_close(signals.alignment, torch.stack(whole), rtol=0, atol=1e-5)
    assert (signals.alignment - averaged).abs().max() > 1e-2


def signals(dev: list[float], norms: list[float] | None = None, dev_norm: float = 2.0) -> Signals:
    sizes = torch.tensor(norms or [1.0] * len(dev))
    return Signals(
        losses=torch.ones(len(dev)),
        weights=torch.ones(len(dev)),
        norms=sizes,
        dev=torch.tensor(dev),
        dev_norm=torch.tensor(dev_norm),
    )


def test_static_weights_are_equal_shares_by_default():
    assert_close(Static(StaticOptions(), NAMES).weights(), torch.full((3,), 1 / 3))


def test_static_weights_are_those_given_in_any_order():
    options = StaticOptions({"rtd": 50.0, "task": 1.0, "mlm": 0.0})
    assert_close(Static(options, NAMES).weights(), torch.tensor([1.0, 0.0, 50.0]))


@pytest.mark.parametrize(
    ("weights", "line"),
    [
        (
            {"task": 1.0, "mln": 1.0, "rtd": 1.0},
            "weighting.weights.mln: no such objective; did you mean 'mlm'?",
        ),
        ({"task": 1.0, "rtd": 1.0}, "weighting.weights.mlm is missing: give every objective"),
        ({"task": 1.0, "mlm": -0.5, "rtd": 1.0}, "weighting.weights.mlm is -0.5: give every"),
        ({"task": 1.0, "mlm": float("nan"), "rtd": 1.0}, "weighting.weights.mlm is nan"),
        (
            dict.fromkeys(NAMES, 0.0),
            "weighting.weights are all 0 for task, mlm, rtd: give at least one objective that is "
            "trained a weight above 0",
        ),
    ],
)
def test_static_refuses_weights_that_are_none(weights: dict[str, float], line: str):
    with pytest.raises(ConfigError) as caught:
        Static(StaticOptions(weights), NAMES)
    assert line in str(caught.value)


def test_static_takes_a_map_that_names_what_a_stage_does_not_train():
    options = StaticOptions({"task": 1.0, "mlm": 0.5, "rtd": 2.0})
    assert_close(Static(options, ("mlm", "rtd")).weights(), torch.tensor([0.5, 2.0]))


def test_static_refuses_to_train_nothing_in_a_stage():
    """Other stages may train the objectives that count: in this one, none does."""
    options = StaticOptions({"task": 1.0, "mlm": 0.0, "rtd": 0.0})
    assert Static(options, ("task", "mlm")).weights().tolist() == [1, 0]
    with pytest.raises(ConfigError, match=r"^weighting\.weights are all 0 for mlm, rtd: give at"):
        Static(options, ("mlm", "rtd"))


def test_meta_raises_what_helps_dev_and_lowers_what_hurts_it():
    meta = Meta(MetaOptions(lr=0.5), NAMES)
    meta.update(signals([0.0, 2.0, -2.0]))
    primary, helpful, harmful = meta.weights()
    assert harmful < primary < helpful
    assert_close(meta.weights().sum(), torch.tensor(1.0))


def test_meta_by_cosine_ignores_the_size_of_gradients_and_by_dot_does_not():
    for similarity, same in (("cosine", True), ("dot", False)):
        small, large = (Meta(MetaOptions(similarity=similarity), NAMES) for _ in range(2))
        small.update(signals([0.1, 0.2, 0.3]))
        large.update(signals([1.0, 2.0, 3.0], norms=[10.0] * 3))
        assert torch.allclose(small.weights(), large.weights()) is same


def test_meta_stands_still_where_gradients_are_zero():
    meta = Meta(MetaOptions(lr=1.0), NAMES)
    meta.update(signals([0.0, 0.0, 0.0], norms=[0.0, 0.0, 0.0], dev_norm=0.0))
    assert_close(meta.weights(), torch.full((3,), 1 / 3))


@pytest.mark.parametrize("updates", [100, 10_000])
def test_metas_weights_stay_above_a_floor_and_recover_in_as_many_steps(updates: int):
    """However long an objective hurt dev; without the bound its weight became exactly 0."""
    meta = Meta(MetaOptions(lr=0.1), NAMES)
    for _ in range(updates):
        meta.update(signals([2.0, 1.0, -2.0]))
    low, high = meta.weights()[2], meta.weights()[0]
    assert_close(low / high, torch.tensor(-6.0).exp())
    for _ in range(31):  # 6.2 / (2 * 0.1)
        meta.update(signals([-2.0, 0.0, 2.0]))
    assert meta.weights()[2] > meta.weights()[0]


def test_metas_spread_is_an_option():
    meta = Meta(MetaOptions(lr=1e6, spread=2.0), NAMES)
    meta.update(signals([-2.0, 2.0, 2.0]))
    assert_close(meta.weights()[0] / meta.weights()[1], torch.tensor(-2.0).exp())


def test_metas_logits_do_not_lose_precision_where_everything_helps():
    """They would grow together; what counts is their difference."""
    meta = Meta(MetaOptions(lr=0.01), NAMES)
    for _ in range(10_000):
        meta.update(signals([2.0, 2.0, 1.99]))
    meta.update(signals([2.0, 2.0, 1.99]))
    assert meta.logits.abs().max() <= 12
    found = (meta.logits[0] - meta.logits[2]).item()
    assert found == pytest.approx(10_001 * 0.01 * 0.005, rel=1e-2)


@pytest.mark.parametrize(("every", "steps"), [(1, 40), (4, 40), (4, 2000)])
def test_metas_weights_end_the_same_in_few_steps_as_in_many(every: int, steps: int):
    meta = Meta(MetaOptions(lr=None, every=every), NAMES[:2])
    meta.budget(steps)
    for step in range(steps):
        if Needs.DEV in meta.due(step):
            meta.update(signals([0.2, 0.0]))  # cosines of 0.1 and 0
    assert_close(meta.weights(), torch.tensor([0.9, 0.1]), atol=2e-3, rtol=0)


def test_metas_learning_rate_by_measurements_needs_their_number():
    meta = Meta(MetaOptions(lr=None), NAMES)
    with pytest.raises(ConfigError, match=r"lr is null: call budget\(steps\) before the first"):
        meta.update(signals([1.0, 1.0, 1.0]))


def test_a_stage_without_steps_has_no_measurements():
    meta = Meta(MetaOptions(lr=None), NAMES)
    meta.budget(0)
    assert_close(meta.weights(), torch.full((3,), 1 / 3))


def test_a_budget_leaves_a_given_learning_rate_as_it_is():
    one, other = (Meta(MetaOptions(lr=0.1), NAMES) for _ in range(2))
    one.budget(10)
    for meta in (one, other):
        meta.update(signals([2.0, 1.0, -2.0]))
    assert_close(one.weights(), other.weights())


def test_meta_measures_on_every_nth_step_alone():
    meta = Meta(MetaOptions(every=4), NAMES)
    due = [Needs.DEV in meta.due(step) for step in range(8)]
    assert due == [True, False, False, False] * 2
    meta.update(Signals(losses=torch.ones(3), weights=torch.ones(3)))
    assert_close(meta.weights(), torch.full((3,), 1 / 3))


def test_meta_goes_on_from_its_state():
    one = Meta(MetaOptions(lr=0.3), NAMES)
    one.update(signals([0.5, -0.5, 0.1]))
    other = Meta(MetaOptions(lr=0.3), NAMES)
    other.load_state_dict({k: v.clone() for k, v in one.state_dict().items()})
    for meta in (one, other):
        meta.update(signals([0.2, 0.9, -0.4]))
    assert torch.equal(one.weights(), other.weights())


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (
            MetaOptions(similarity="cosin"),
            "weighting.similarity=cosin: did you mean 'cosine'?",
        ),
        (MetaOptions(every=0), "weighting.every must be at least 1, got 0."),
        (MetaOptions(spread=0), "weighting.spread must be in (0, 80], got 0."),
        (MetaOptions(spread=100), "weighting.spread must be in (0, 80], got 100."),
    ],
)
def test_meta_refuses_options_without_meaning(options: MetaOptions, line: str):
    with pytest.raises(ConfigError) as caught:
        Meta(options, NAMES)
    assert str(caught.value) == line


FINITE = st.floats(allow_nan=False, allow_infinity=False, width=32)


@st.composite
def measured(draw: st.DrawFn) -> list[Signals]:
    """What some steps with META may measure: anything that is finite."""
    names = draw(st.integers(1, 5))
    several = st.lists(FINITE, min_size=names, max_size=names).map(torch.tensor)
    steps = draw(st.integers(1, 6))
    return [
        Signals(
            draw(several), draw(several), norms=draw(several).abs(), dev=draw(several),
            dev_norm=draw(FINITE.map(torch.tensor)).abs(),
        )
        for _ in range(steps)
    ]  # fmt: skip


@given(measured(), st.sampled_from(["cosine", "dot"]), st.floats(0, 1e6))
def test_metas_weights_are_shares_whatever_is_measured(
    signals: list[Signals], similarity: str, lr: float
):
    names = tuple(f"o{n}" for n in range(len(signals[0].losses)))
    meta = Meta(MetaOptions(lr=lr, similarity=similarity), names)
    for each in signals:
        meta.update(each)
        weights = meta.weights()
        assert weights.isfinite().all()
        assert (weights >= 0).all()
        assert weights.sum().item() == pytest.approx(1, abs=1e-5)


@given(st.dictionaries(st.text(max_size=5), st.floats(0, 1e30), min_size=1, max_size=6), st.data())
def test_static_weights_are_those_given_for_whatever_trains(
    given_weights: dict[str, float], data: st.DataObject
):
    names = data.draw(st.permutations(list(given_weights)))
    trained = tuple(names[: data.draw(st.integers(1, len(names)))])
    assume(any(given_weights[name] for name in trained))
    weights = Static(StaticOptions(weights=given_weights), trained).weights()
    assert weights.tolist() == pytest.approx([given_weights[name] for name in trained])


@given(st.integers(1, 50))
def test_static_weights_are_shares_by_default(count: int):
    weights = Static(StaticOptions(), tuple(map(str, range(count)))).weights()
    assert weights.sum().item() == pytest.approx(1)
    assert weights.min() == weights.max()
