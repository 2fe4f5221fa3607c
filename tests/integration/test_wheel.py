"""The wheel holds everything: installed elsewhere, away from the checkout, it works."""

import os
import shutil
import subprocess
import sys
from ast import literal_eval
from pathlib import Path

ROOT = Path(__file__).parents[2]
PARTS = ("tartan", "plugins", "configs", "pyproject.toml", "README.md", "LICENSE")


def run(*command: str, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_wheel_brings_plugins_and_configurations(tmp_path: Path):
    source, site, elsewhere = (tmp_path / name for name in ("source", "site", "elsewhere"))
    source.mkdir()
    elsewhere.mkdir()
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(ROOT / part, source / part)
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", cwd=source)
    (wheel,) = (source / "dist").glob("*.whl")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site)]
    run(*pip, str(wheel), cwd=elsewhere)

    program = (
        "import tartan, tartan_objectives, tartan.configs as c; print(tartan.__file__, c.__path__)"
    )
    said = run(sys.executable, "-P", "-c", program, cwd=elsewhere, PYTHONPATH=str(site))
    assert str(site / "tartan" / "__init__.py") in said
    assert str(site / "tartan" / "configs") in said
    asked = ["-P", "-m", "tartan", "run", "--cfg", "job", "objectives=[tapt]", "weighting=meta"]
    said = run(sys.executable, *asked, cwd=elsewhere, PYTHONPATH=str(site))
    assert "tapt:" in said
    assert "similarity: cosine" in said
    program = "from tartan.report.pages import environment as e; print(e(True).list_templates())"
    said = run(sys.executable, "-P", "-c", program, cwd=elsewhere, PYTHONPATH=str(site))
    assert {"page.css", "page.html", "run.html", "run.md", "study.html"} <= set(literal_eval(said))
    assert list(elsewhere.iterdir()) == []
