"""What OmegaConf refuses is one line that names the key."""

from dataclasses import dataclass

import pytest

from tartan.config.parse import options
from tartan.errors import ConfigError


@dataclass
class Demanding:
    share: float


@pytest.mark.parametrize("causes", ["0", "1"])  # as under a debugger, or a measure of coverage
def test_it_says_the_same_whether_or_not_omegaconf_keeps_causes(
    causes: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OC_CAUSE", causes)
    with pytest.raises(ConfigError) as refused:
        options(Demanding, {}, "objectives.mine")
    assert str(refused.value) == ("objectives.mine.share must be set: it has no default")
    with pytest.raises(ConfigError, match=r"^objectives\.mine\.share must be a number, got much$"):
        options(Demanding, {"share": "much"}, "objectives.mine")
