"""Values as overrides."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from tartan.config.values import written


@pytest.mark.parametrize(
    "path",
    ["study/mt/seed0", "/home/jürgen/größe", "/a b/it's, (1)=[2]", "a\\'b", "end\\", "a\\b", "1e3"],
)
def test_hydra_reads_a_path_as_it_is(path: str):
    assert OverridesParser.create().parse_override(f"x={written(path)}").value() == path
