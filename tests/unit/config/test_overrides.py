"""Overrides are accepted, or refused in one line, whatever is typed."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tartan.config.overrides import accept
from tartan.config.parse import options
from tartan.config.schema import Config
from tartan.config.store import register
from tartan.errors import ConfigError, TartanError
from tartan.plugins import discover
from tartan.train.optimiser import OptimiserOptions

pytestmark = pytest.mark.heavy


@pytest.fixture(scope="module", autouse=True)
def _registered() -> None:
    register(discover())


KEYS = st.sampled_from(
    ["steps", "weighting", "objectives", "weighting.lr", "objectives.mlm.mask_prob", "data",
     "model", "optimizer.body_lr", "schedule.stages.joint.steps", "run_dir", "hydra.run.dir",
     "seed", "eval", "weighting.weights.mlm", "cache", "data.dir", "primary", "", "a.b.c", "hydra",
     "~seed"]
)  # fmt: skip
VALUES = st.one_of(
    st.sampled_from(
        ["1", "-1", "meta", "[mlm]", "[mlm,mlm]", "{a: 1}", "null", "1,2", "[", "${seed}", "${x",
         "choice(1,2)", "range(0,9)", "'a b'", "???", "\\", "1e400", "nan", "[[]]", "glob(*)"]
    ),
    st.text(max_size=12),
)  # fmt: skip
TYPED = st.one_of(
    st.builds(lambda sign, key, value: f"{sign}{key}={value}",
              st.sampled_from(["", "", "", "+", "++", "~"]), KEYS, VALUES),
    st.text(max_size=20),
)  # fmt: skip


@settings(max_examples=settings().max_examples // 2)
@given(st.lists(TYPED, min_size=1, max_size=3), st.booleans())
@example(["weighting=meta", "objectives=[mlm]"], False)
def test_whatever_is_typed_is_accepted_or_refused_in_one_line(typed: list[str], several: bool):
    taken, refusal = [], ""
    try:
        taken = accept(typed, multirun=several)
    except TartanError as error:
        refusal = str(error)
    assert bool(refusal) == (len(taken) != len(typed))
    assert refusal.isprintable()


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


@given(
    st.sampled_from([Config, OptimiserOptions]),
    st.dictionaries(
        st.sampled_from(["seed", "steps", "eval", "body_lr", "clip", "objectives", "x", "cache"]),
        PLAIN, max_size=3,
    ),
)  # fmt: skip
def test_any_values_are_options_or_one_line(cls: type, values: dict[str, object]):
    refusal = ""
    try:
        assert isinstance(options(cls, values, "part"), cls)
    except ConfigError as error:
        refusal = str(error)
    assert refusal.isprintable()


@given(st.integers(1, 2**31), st.floats(1e-9, 1), st.booleans())
def test_what_is_given_is_what_comes_out(seed: int, lr: float, cache: bool):
    given = {"seed": seed, "optimizer": {"body_lr": lr}, "cache": cache, "data": {"metric": None}}
    found = options(Config, given, "")
    assert (found.seed, found.optimizer.body_lr, found.cache) == (seed, lr, cache)
    assert found.steps == Config().steps, "everything else keeps its default"
