"""Every weighting of the list keeps the contract, with its defaults and with other options."""

from typing import Any

import pytest

from tartan import Weighting
from tartan.testing import WeightingContract
from tartan_weightings.auxinash import AuxiNash
from tartan_weightings.bandit import Bandit
from tartan_weightings.dwa import DWA
from tartan_weightings.famo import FAMO
from tartan_weightings.gcs import GCS
from tartan_weightings.lookahead import Lookahead
from tartan_weightings.meta_factored import MetaFactored
from tartan_weightings.metabalance import MetaBalance
from tartan_weightings.ol_aux import OLAUX
from tartan_weightings.pcd import PCD
from tartan_weightings.pcgrad import PCGrad

CASES: list[tuple[type[Weighting], dict[str, Any]]] = [
    (AuxiNash, {}),
    (AuxiNash, {"every": 2, "lr": 1.0}),
    (Bandit, {}),
    (Bandit, {"sampled": 2, "momentum": 0.0}),
    (DWA, {}),
    (DWA, {"every": 2, "temperature": 0.5}),
    (FAMO, {}),
    (FAMO, {"lr": 1.0}),
    (GCS, {}),
    (Lookahead, {}),
    (Lookahead, {"momentum": 0.9, "eta": 10.0}),
    (MetaBalance, {}),
    (MetaFactored, {}),
    (MetaFactored, {"sampled": 1, "every": 1, "lr": 1.0}),
    (MetaBalance, {"strategy": "reduce", "beta": 0.0}),
    (OLAUX, {}),
    (OLAUX, {"horizon": 2, "initial": 0.0}),
    (PCD, {}),
    (PCD, {"tau": 0.5, "beta": 0.0}),
    (PCGrad, {}),
]


@pytest.mark.parametrize("rule", [rule.name for rule in WeightingContract.rules()])
@pytest.mark.parametrize(("weighting", "options"), CASES)
def test_it_keeps_its_contract(weighting: type[Weighting], options: dict[str, Any], rule: str):
    given = type("Given", (WeightingContract,), {"weighting": weighting, "options": options})
    getattr(given(), rule)()


@pytest.mark.parametrize(
    "weighting", dict.fromkeys(cls for cls, _ in CASES), ids=lambda cls: cls.__name__
)
def test_it_says_where_it_comes_from_and_when_to_use_it(weighting: type[Weighting]):
    assert weighting.paper
    assert weighting.use
