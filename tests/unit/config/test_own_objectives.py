"""Files of objectives of a user's own: mistakes are one line that says what to change."""

from pathlib import Path

import pytest

from support.experiments import configured
from tartan import ConfigError
from tartan.config.overrides import accept
from tartan.config.store import register
from tartan.experiment.sections import sections_of
from tartan.plugins import discover


def written(directory: Path, name: str) -> str:
    """Write a variant of MLM without a package; return where it can be found."""
    (directory / "objectives").mkdir()
    variant = "defaults: [mlm@_here_, _self_]\ncorpus: domain\n"
    (directory / f"objectives/{name}.yaml").write_text(variant)
    return str(directory)


def test_a_file_with_the_name_of_what_it_includes_is_one_line(tmp_path: Path):
    register(discover())
    with pytest.raises(ConfigError, match="includes itself in its defaults") as refused:
        accept(["objectives=[mlm]"], search=written(tmp_path, "mlm"))
    assert str(refused.value).isprintable()


def test_a_file_without_its_package_is_one_line(tmp_path: Path):
    place = f"hydra.searchpath=[file://{written(tmp_path, 'short')}]"
    with pytest.raises(ConfigError, match=r"begins with the line '# @package objectives\.NAME'"):
        sections_of(configured(place, "objectives=[short]"))
