"""Overrides that a study writes itself."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from tartan.study.typed import quoted


@pytest.mark.parametrize("path", ["study/mt/seed0", "/home/jürgen/größe", "/a b/it's, (1)=[2]"])
def test_hydra_reads_a_path_as_it_is(path: str):
    assert OverridesParser.create().parse_override(f"x={quoted(path)}").value() == path
