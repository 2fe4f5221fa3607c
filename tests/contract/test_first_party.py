"""Every plugin that tartan brings keeps its contract, with its defaults and with others."""

import atexit
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from support.teachers import save_teacher
from tartan.plugins import discover
from tartan.testing import Contract, tiny_source
from tartan.testing.examine import contracts
from tartan.testing.world import CLASSES

VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("mlm", {"corpus": "domain", "mask_prob": 0.5}),
    ("mlm", {"masking": "word", "corpus": ["task", "domain"], "mix_temperature": 2.0}),
    ("mlm", {"masking": "span"}),
    ("rtd", {"generator_size": 1.0, "tied": True, "corpus": ["domain", "task"]}),
    ("classification", {"class_weights": "balanced", "focal_gamma": 2.0}),
    ("multilabel", {"positive_weight": "balanced", "threshold": 0.3}),
    ("rdrop", {"alpha": 5.0}),
    ("vat", {"texts": "labelled", "iterations": 3}),
    ("auxinash", {"every": 2, "lr": 1.0}),
    ("bandit", {"sampled": 2, "momentum": 0.0}),
    ("dwa", {"every": 2, "temperature": 0.5}),
    ("famo", {"lr": 1.0}),
    ("lookahead", {"momentum": 0.9, "eta": 10.0}),
    ("meta", {"every": 3, "similarity": "dot", "lr": None}),
    ("meta_factored", {"sampled": 1, "every": 1, "lr": 1.0}),
    ("metabalance", {"strategy": "reduce", "beta": 0.0}),
    ("ol_aux", {"horizon": 2, "initial": 0.0}),
    ("pcd", {"tau": 0.5, "beta": 0.0}),
    ("uncertainty", {"lr": 1.0}),
]


@cache
def teacher() -> str:
    """A teacher for the tiny world's classes."""
    directory = tempfile.TemporaryDirectory()
    atexit.register(directory.cleanup)
    return str(save_teacher(tiny_source(), Path(directory.name), *sorted(CLASSES, reverse=True)))


REQUIRED: dict[str, Callable[[], dict[str, Any]]] = {"distil": lambda: {"teacher": teacher()}}
"""Options without which a plugin cannot be built."""


def cases() -> list[Any]:
    found = discover()
    own = [*found.objectives, *found.weightings]
    # unit/weightings/test_torchjd.py tests those of TorchJD
    named = [name for name in own if not name.startswith("torchjd_")]
    chosen = [(contract, {}) for contract in contracts(found, named)]
    chosen += [(contracts(found, [name])[0], options) for name, options in VARIANTS]
    return [
        pytest.param(
            contract, options, rule.name, id=f"{contract.plugin}{options or ''}-{rule.name}"
        )
        for contract, options in chosen
        for rule in contract.rules()
    ]


@pytest.mark.parametrize(("contract", "options", "rule"), cases())
def test_keeps(contract: type[Contract], options: dict[str, Any], rule: str):
    options = {**options, **REQUIRED.get(contract.plugin, dict)()}
    given = type("Given", (contract,), {"options": options})
    getattr(given(), rule)()
