"""Publish the complete studies of docs/evidence.md: results files, tables and figures.

    python -m benchmarks.evidence.results [DIRECTORY]

Studies in `DIRECTORY/study-REGIME` whose runs have all finished are copied to
benchmarks/results/evidence, with their scores on unseen rows. Then, from the results files alone,
text between `<!-- study REGIME -->`, `<!-- summary -->` or `<!-- unseen -->` and `<!-- end -->` in
docs/evidence.md and docs/evidence-studies.md is written again, and the figures in docs/evidence
are drawn: learning curves, and scores over labels.
"""

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.evidence.unseen import rescored
from tartan.files import write_text
from tartan.report.curves import Curve
from tartan.report.figures import Band, lines
from tartan.report.plot import Plot
from tartan.study.conclusions import conclusions
from tartan.study.plots import mean_curve
from tartan.study.results import Estimate, Pair

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "docs" / "evidence.md", ROOT / "docs" / "evidence-studies.md")
RESULTS = ROOT / "benchmarks" / "results" / "evidence"
FIGURES = ROOT / "docs" / "evidence"
LABELS: Mapping[str, int] = {
    "b64": 64,
    "b128": 128,
    "rest128": 128,
    "b256": 256,
    "b512": 512,
    "a": 1688,
}
"""Labelled rows of each regime that starts from the same pre-trained model."""
ROWS: Mapping[str, str] = {
    "b64": "64 labels",
    "after64": "64 labels, `supcon` after TAPT",
    "b128": "128 labels",
    "rest128": "128 labels, further arms",
    "supcon128": "128 labels, `supcon` in place of MLM",
    "again128": "128 labels, `supcon`, 28 other seeds",
    "released128": "the same seeds, META as released",
    "b256": "256 labels",
    "b512": "512 labels",
    "a": "all labels",
    "a1280": "all labels, twice the steps",
    "c": "all labels, random weights",
    "c4000": "all labels, random weights, twice the steps",
    "sciie128": "sciie, 128 labels",
    "supcon_sciie128": "sciie, 128 labels, `supcon` in place of MLM",
}
"""Rows of the summary, by regime."""
ARMS: Mapping[str, str] = {
    "finetune": "end task alone",
    "tapt": "TAPT",
    "mt": "MT",
    "meta": "META",
    "gcs": "GCS",
    "pcd": "PCD",
}
"""Columns of the summary, by arm."""
PLACED: Mapping[str, str] = {"released": "meta"}
"""Arms in the column of another, which their studies do not have."""
CURVES = "dev-over-rows"
_PART = re.compile(r"(<!-- (summary|unseen|study \w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def publish(directory: Path) -> list[str]:
    """Copy every complete study of a directory; return the names of its regimes."""
    found = []
    for study in sorted(directory.glob("study-*/study.json")):
        content = json.loads(study.read_text("utf-8"))
        if any(run["status"] != "finished" for run in content["runs"]):
            continue
        name = study.parent.name.removeprefix("study-")
        written = {"study": content, "unseen": rescored(content, study.parent)}
        for kind, results in written.items():
            path = RESULTS / f"{kind}-{name}.json"
            if results and not path.exists():
                text = json.dumps(results, indent=1) + "\n"
                write_text(path, text.replace(str(directory), "DIRECTORY"))
        found.append(name)
    return found


def published(kind: str) -> dict[str, dict[str, Any]]:
    """Return the results files of a kind, `study` or `unseen`, by regime."""
    files = sorted(RESULTS.glob(f"{kind}-*.json"))
    return {
        file.stem.removeprefix(f"{kind}-"): json.loads(file.read_text("utf-8")) for file in files
    }


def fill(
    text: str, found: Mapping[str, Mapping[str, Any]], on_unseen: Mapping[str, Mapping[str, Any]]
) -> str:
    """Return a page with its generated parts written again.

    Args:
        text: the page.
        found: the published studies, by regime.
        on_unseen: their scores on unseen rows, by regime.
    """

    def part(match: re.Match[str]) -> str:
        opening, name, end = match.groups()
        if name == "summary":
            written = summary(found)
        elif name == "unseen":
            written = unseen(on_unseen)
        else:
            regime = name.removeprefix("study ")
            written = section(regime, found[regime]) if regime in found else "Not complete.\n"
        return f"{opening}\n{written}\n{end}"

    return _PART.sub(part, text)


def summary(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the table of all studies: each arm's mean on test and on dev.

    An arrow says that an arm is significantly above or below the end task alone on test.
    """
    rows = _by_arm(
        found, lambda arm, arrow: f"{arm['test']['mean']:.3f}{arrow} / {arm['dev']['mean']:.3f}"
    )
    return "\n".join([*rows, ""])


def unseen(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the tables of the scores on unseen rows: each arm's, and the differences."""
    rows = _by_arm(
        found, lambda arm, arrow: f"{arm['test']['mean']:.3f} ± {arm['test']['std']:.3f}{arrow}"
    )
    pairs = [
        "| | pair | difference | 95% interval | effect | p | corrected p |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for name, label in _named(found):
        labels = {arm["name"]: arm["label"] for arm in found[name]["arms"]}
        made = [_pair(pair) for pair in found[name]["pairs"]]
        pairs += [f"| {label} {_pair_row(pair, labels)}" for pair in made]
    return "\n".join([*rows, "", *pairs, ""])


def _by_arm(
    found: Mapping[str, Mapping[str, Any]], cell: Callable[[Mapping[str, Any], str], str]
) -> list[str]:
    """Return a table with a row for each regime and a column for each arm.

    Args:
        found: studies by regime.
        cell: makes the content of a cell from an arm and its arrow.
    """
    rows = ["| | " + " | ".join(ARMS.values()) + " |", "|---" + "|---:" * len(ARMS) + "|"]
    for name, label in _named(found):
        arrows = _arrows(found[name])
        cells = {
            PLACED.get(arm["name"], arm["name"]): cell(arm, arrows.get(arm["name"], ""))
            for arm in found[name]["arms"]
        }
        rows.append(f"| {label} | {' | '.join(cells.get(arm, '') for arm in ARMS)} |")
    return rows


def _named(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the regimes that were found, and the label of each, in the order of tables."""
    return [(name, label) for name, label in ROWS.items() if name in found]


def _arrows(study: Mapping[str, Any]) -> dict[str, str]:
    """Return arrows for the arms that are significantly above or below the end task alone."""
    return {
        pair["first"]: " ↑" if pair["difference"]["mean"] > 0 else " ↓"
        for pair in study["pairs"]
        if pair["corrected"] < study["level"]
    }


def section(name: str, study: Mapping[str, Any]) -> str:
    """Return the tables of a study, and a sentence for each pair."""
    label = {arm["name"]: arm["label"] for arm in study["arms"]}
    made = [_pair(pair) for pair in study["pairs"]]
    sentences = conclusions(made, label, study["level"])
    rows = [
        "| arm | test | 95% interval | dev | seconds |",
        "|---|---:|---:|---:|---:|",
        *map(_arm_row, study["arms"]),
        "",
        "| pair | difference | 95% interval | effect | p | corrected p |",
        "|---|---:|---:|---:|---:|---:|",
        *(_pair_row(pair, label) for pair in made),
        "",
        *(f"* {sentence}" for sentence in sentences),
        "",
        f"![Learning curves on dev](evidence/{name}-{CURVES}.svg)",
        "",
        f"Source: `benchmarks/results/evidence/study-{name}.json`. Command: "
        f"`python -m benchmarks.evidence.chain DIRECTORY {name}`.",
        "",
    ]
    return "\n".join(rows)


def over_labels(found: Mapping[str, Mapping[str, Any]]) -> Plot | None:
    """Return the plot of each arm's test score over labelled rows; None of fewer than two."""
    regimes = [name for name in LABELS if name in found]
    sizes = sorted({LABELS[name] for name in regimes})
    if len(sizes) < 2:
        return None
    points: dict[str, dict[int, Mapping[str, float]]] = {}
    for name in regimes:
        for arm in found[name]["arms"]:
            points.setdefault(arm["label"], {}).setdefault(LABELS[name], arm["test"])
    curves = {
        label: Curve(tuple(own), tuple(test["mean"] for test in own.values()))
        for label, own in points.items()
    }
    bands: dict[str, Band] = {
        label: ([test["low"] for test in own.values()], [test["high"] for test in own.values()])
        for label, own in points.items()
    }
    drawn = lines(curves, "labelled rows", "macro_f1 on test", bands=bands)
    (axes,) = drawn.axes
    axes.set_xscale("log")
    axes.set_xticks(sizes, list(map(str, sizes)))
    axes.minorticks_off()
    told = "; ".join(f"{label}: {curve.y}" for label, curve in curves.items())
    return Plot("over-labels", "Test score over labelled rows", drawn, told)


def over_rows(name: str, study: Mapping[str, Any]) -> Plot:
    """Return the plot of each arm's mean score on dev over rows of the end task."""
    curves: dict[str, Curve] = {}
    bands: dict[str, Band] = {}
    for arm in study["arms"]:
        runs = [run["curve"] for run in study["runs"] if run["arm"] == arm["name"]]
        points = [[(point["primary_examples"], point["value"]) for point in run] for run in runs]
        if found := mean_curve([Curve(*zip(*run, strict=True)) for run in points]):
            curves[arm["label"]], bands[arm["label"]] = found
    drawn = lines(curves, "rows of the end task trained on", "macro_f1 on dev", bands=bands)
    return Plot(
        f"{name}-{CURVES}", "Learning curves on dev", drawn, "means of the runs of each arm"
    )


def _arm_row(arm: Mapping[str, Any]) -> str:
    """Return the row of an arm."""
    test, dev, seconds = arm["test"], arm["dev"], arm["seconds"]
    return (
        f"| {arm['label']} | {test['mean']:.4f} ± {test['std']:.4f} | "
        f"[{test['low']:.4f}, {test['high']:.4f}] | "
        f"{dev['mean']:.4f} ± {dev['std']:.4f} | {seconds['mean']:.0f} |"
    )


def _pair(pair: Mapping[str, Any]) -> Pair:
    """Return a pair as a study has it, from its file."""
    difference = Estimate(**pair["difference"])
    effect = difference.mean / difference.std if difference.std else None
    return Pair(**{**pair, "difference": difference, "effect": effect})


def _pair_row(pair: Pair, label: Mapping[str, str]) -> str:
    """Return the row of a pair."""
    found = pair.difference
    assert found, "every run of a published study has finished"
    effect = "" if pair.effect is None else f"{pair.effect:+.2f}"
    return (
        f"| {label[pair.first]} - {label[pair.second]} | {found.mean:+.4f} | "
        f"[{found.low:+.4f}, {found.high:+.4f}] | {effect} | {pair.p:.4f} | {pair.corrected:.4f} |"
    )


def main(arguments: Sequence[str]) -> None:
    """Publish what is complete, and write the pages and the figures."""
    if arguments:
        print("published: " + ", ".join(publish(Path(arguments[0]).absolute())))
    found = published("study")
    for page in PAGES:
        write_text(page, fill(page.read_text("utf-8"), found, published("unseen")))
    for plot in (over_labels(found), *(over_rows(*one) for one in found.items())):
        if plot:
            write_text(FIGURES / f"{plot.name}.svg", plot.on_white)


if __name__ == "__main__":
    main(sys.argv[1:])
