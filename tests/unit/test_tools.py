"""Tools for development: the matrix of releases, the check of prose, the site's links."""

import tomllib
from pathlib import Path

import pytest

from tools import matrix, prose
from tools.site import relink


def test_lower_bounds_become_constraints():
    bounds = ["torch>=2.11", "hydra-core>=1.3.2,<1.4"]
    assert matrix.lowest(bounds) == ["torch==2.11", "hydra-core==1.3.2"]


def test_a_dependency_without_a_lower_bound_is_refused():
    with pytest.raises(ValueError, match=r"'rich' has no lower bound: write name>=version"):
        matrix.lowest(["torch>=2.11", "rich"])


def test_every_dependency_has_a_lower_bound():
    listed = matrix.project_dependencies()
    assert len(matrix.lowest(listed)) == len(listed) >= 10


def test_the_newest_cpu_build_is_found_among_others():
    assert matrix.newest_cpu(["2.15.0", "2.13.0+cpu", "2.13.0", "2.12.0+cpu"]) == "2.13.0+cpu"
    assert matrix.newest_cpu(["2.15.0", "2.11.0"]) is None


def test_a_skipped_cell_is_reported_and_fails_if_asked(monkeypatch, capsys):
    def run(cell: matrix.Cell, options: object) -> str:
        if cell.python == "3.11":
            return "torch 2.11"
        raise matrix.SkippedError("it is not installed")

    monkeypatch.setattr(matrix, "run", run)
    assert matrix.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "3.11-lowest: passed with torch 2.11" in lines
    assert "3.13-newest: skipped: it is not installed" in lines
    assert matrix.main(["--no-skips"]) == 1
    assert matrix.main(["--no-skips", "3.11-newest"]) == 0


def test_a_failed_cell_does_not_stop_the_others(monkeypatch, capsys):
    def run(cell: matrix.Cell, options: object) -> str:
        if cell.releases == "lowest":
            raise matrix.FailedError("make test-fast (exit status 2)")
        return "torch 2.15"

    monkeypatch.setattr(matrix, "run", run)
    assert matrix.main([]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "3.11-lowest: failed: make test-fast (exit status 2)" in lines
    assert "3.13-newest: passed with torch 2.15" in lines


def test_the_matrix_has_every_python_that_the_project_supports():
    text = (matrix.ROOT / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    supported = [
        line.split(" :: ")[-1] for line in project["classifiers"] if "Python :: 3." in line
    ]
    assert supported == list(matrix.PYTHONS)
    assert project["requires-python"] == f">={matrix.PYTHONS[0]}"


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("a run goes on", "goes on"),
        ("what cannot be\n    had", "cannot be\n    had"),
        ("# is\n# told that", "is\n# told"),
        ("it is no method", "is no m"),
        ("to mend it", "mend"),
        ("the same as of run", "as of"),
        ("files below /opt/models", "/opt/m"),
    ],
)
def test_a_phrase_is_found_with_its_line(text: str, phrase: str):
    [finding] = prose.phrases(Path("page.md"), f"First.\n{text}\n")
    assert (finding.line, finding.phrase) == (2, " ".join(phrase.replace("#", " ").split()))


@pytest.mark.parametrize(
    "text", ["there is no head", "it is no longer needed", "recommended", "it goes on to say"]
)
def test_plain_text_is_not(text: str):
    assert list(prose.phrases(Path("page.md"), text)) == []


def test_a_docstring_that_begins_with_a_question_word_is_found(tmp_path: Path):
    file = tmp_path / "module.py"
    file.write_text(
        'def one():\n    """What it is."""\n\n\ndef other():\n    """Return it."""\n\n\n'
        'class It:\n    @property\n    def part(self):\n        """Whether it is."""\n'
    )
    assert [(found.line, found.phrase) for found in prose.check(file)] == [(1, "What it is.")]


def test_links_between_files_become_links_between_pages():
    assert relink("[a](docs/options.md#data) [b](CHANGELOG.md)", "README.md") == (
        "[a](options.md#data) [b](changelog.md)"
    )
    assert relink("[a](../README.md) [b](../tartan/plugins.py)", "docs/input.md") == (
        "[a](index.md) b"
    )
    assert relink("![a](scale.svg) [b](https://x.y)", "benchmarks/results/README.md") == (
        "![a](scale.svg) [b](https://x.y)"
    )
