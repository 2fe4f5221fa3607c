"""An editable install works wherever Python is started, also beside a checkout named tartan."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
IMPORTS = (
    "from tartan import Objective; import tartan.configs, tartan.study.child, tartan_objectives"
)


def python(executable: Path | str, place: Path, *arguments: str) -> str:
    """Run Python in a directory, which is then the first that it imports from."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [str(executable), *arguments],
        cwd=place, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_package_is_found_in_the_parent_of_a_checkout(tmp_path: Path):
    """Python takes a directory of the package's name for the package."""
    checkout = tmp_path / "tartan"
    checkout.mkdir()
    shutil.copy(ROOT / "__init__.py", checkout)
    (checkout / "tartan").symlink_to(ROOT / "tartan")
    found = python(sys.executable, tmp_path, "-c", f"{IMPORTS}; print(tartan.__file__)")
    assert found.strip() == str(checkout / "tartan/__init__.py")


@pytest.mark.slow
def test_a_real_checkout_is_installed_and_used_from_its_parent(tmp_path: Path):
    checkout, venv = tmp_path / "tartan", tmp_path / "venv"
    checkout.mkdir()
    for name in ("__init__.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, checkout)
    for name in ("tartan", "plugins", "configs"):
        shutil.copytree(ROOT / name, checkout / name)
    python(sys.executable, tmp_path, "-m", "venv", "--without-pip", str(venv))
    (site,) = venv.glob("lib/python*/site-packages")
    places = [path for path in sys.path if path.endswith("site-packages")]
    (site / "base.pth").write_text("".join(f"{path}\n" for path in places))
    install = ["-m", "pip", "install", "-q", "--no-build-isolation", "--no-deps", "--no-index"]
    python(venv / "bin/python", tmp_path, *install, "--ignore-installed", "-e", str(checkout))
    for place in (tmp_path, checkout, site):
        listed = python(venv / "bin/python", place, "-m", "tartan", "list")
        assert "classification" in listed
        assert "meta" in listed
        python(venv / "bin/python", place, "-c", IMPORTS)
