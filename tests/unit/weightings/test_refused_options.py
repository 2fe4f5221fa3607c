"""Options that have no meaning are refused in one line that names the option and its value."""

import math

import pytest

from tartan import ConfigError, Weighting
from tartan_weightings.auxinash import AuxiNash
from tartan_weightings.bandit import Bandit
from tartan_weightings.dwa import DWA
from tartan_weightings.famo import FAMO
from tartan_weightings.lookahead import Lookahead
from tartan_weightings.meta_factored import MetaFactored
from tartan_weightings.metabalance import MetaBalance
from tartan_weightings.ol_aux import OLAUX
from tartan_weightings.pcd import PCD
from tartan_weightings.uncertainty import Uncertainty


@pytest.mark.parametrize(
    ("weighting", "option", "value", "message"),
    [
        (AuxiNash, "lr", math.inf, " must be at least 0 and finite, got inf."),
        (AuxiNash, "every", 0, " must be at least 1, got 0."),
        (Bandit, "sampled", 0, " must be at least 1, got 0."),
        (Bandit, "momentum", 1.0, " must be in [0, 1), got 1.0."),
        (DWA, "temperature", 0.0, " must be more than 0 and finite, got 0.0."),
        (DWA, "temperature", math.inf, " must be more than 0 and finite, got inf."),
        (DWA, "every", 0, " must be at least 1, got 0."),
        (FAMO, "lr", -1.0, " must be at least 0 and finite, got -1.0."),
        (FAMO, "lr", math.inf, " must be at least 0 and finite, got inf."),
        (FAMO, "weight_decay", -1.0, " must be at least 0 and finite, got -1.0."),
        (FAMO, "weight_decay", math.inf, " must be at least 0 and finite, got inf."),
        (Lookahead, "eta", 0.0, " must be more than 0 and finite, got 0.0."),
        (Lookahead, "eta", math.nan, " must be more than 0 and finite, got nan."),
        (Lookahead, "momentum", 1.0, " must be in [0, 1), got 1.0."),
        (MetaBalance, "relax", 1.5, " must be in [0, 1], got 1.5."),
        (MetaBalance, "beta", 1.0, " must be in [0, 1), got 1.0."),
        (MetaBalance, "strategy", "reduced", "=reduced: did you mean 'reduce'?"),
        (MetaFactored, "lr", -1.0, " must be at least 0 and finite, got -1.0."),
        (MetaFactored, "every", 0, " must be at least 1, got 0."),
        (MetaFactored, "spread", 0.0, " must be in (0, 80], got 0.0."),
        (OLAUX, "lr", -1.0, " must be at least 0 and finite, got -1.0."),
        (OLAUX, "initial", math.inf, " must be at least 0 and finite, got inf."),
        (OLAUX, "horizon", 0, " must be at least 1, got 0."),
        (PCD, "tau", 1.5, " must be in [0, 1], got 1.5."),
        (PCD, "beta", 1.0, " must be in [0, 1), got 1.0."),
        (PCD, "eps", -1.0, " must be at least 0 and finite, got -1.0."),
        (Uncertainty, "lr", -1.0, " must be at least 0 and finite, got -1.0."),
        (Uncertainty, "lr", math.nan, " must be at least 0 and finite, got nan."),
        (Uncertainty, "lr", math.inf, " must be at least 0 and finite, got inf."),
    ],
)
def test_an_option_without_meaning_is_refused(
    weighting: type[Weighting], option: str, value: float | str, message: str
):
    with pytest.raises(ConfigError) as refused:
        weighting(weighting.Options(**{option: value}), ("task", "a", "b"))
    assert str(refused.value) == f"weighting.{option}{message}"
