"""A study as tables: Markdown for a person, CSV for a spreadsheet, rich for a terminal."""

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence

from rich.table import Table

from tartan.study.results import ArmResult, Estimate, Pair, RunResult, StudyResults

Row = Sequence[str]
NOTHING = "-"


def markdown(results: StudyResults) -> str:
    """study.md."""
    percent = f"{results.confidence:.0%}"
    parts = [
        f"# Study: {results.metric} on test",
        "",
        *_rows(arm_header(results), map(arm_row, results.arms)),
        "",
        f"Means over runs, standard deviations (n - 1), and {percent} bootstrap intervals of the "
        "mean. Seconds are of training, evaluations included.",
        "",
        "## Paired differences",
        "",
        *_rows(pair_header(results), (pair_row(pair, results.level) for pair in results.pairs)),
        "",
        "First arm minus second, of the same seeds. p is of a two-sided paired permutation test "
        f"({_kind(results.pairs)}), corrected by Holm's method over all "
        f"{len(results.pairs)} comparisons; * is below {results.level:g}.",
        "",
        *_section("What to know", [f"* {note}" for note in results.notes]),
        *_section("Splits", [f"* {s.split} ({s.rows} rows): {s.used_for}" for s in results.splits]),
        *_section("Budget", [f"* {line}" for line in results.budget]),
        *_section("Arms", [f"* {a.name}: `{' '.join(a.overrides)}`" for a in results.arms]),
        *([f"All of them: `{' '.join(results.common)}`", ""] if results.common else []),
        "## Runs",
        "",
        *_rows(RUN_HEADER, (run_row(run, results.metric) for run in results.runs)),
    ]
    return "\n".join(parts) + "\n"


def arm_header(results: StudyResults) -> Row:
    """The heads of the arms' table."""
    return (
        "arm", f"test {results.metric}", f"{results.confidence:.0%} interval", "on dev", "runs",
        "seconds", "s/step", "peak memory", "weights",
    )  # fmt: skip


def arm_row(arm: ArmResult) -> Row:
    """One arm."""
    weights = ", ".join(f"{name} {value:.3f}" for name, value in (arm.weights or {}).items())
    return (
        arm.label,
        spread(arm.test),
        interval(arm.test),
        spread(arm.dev),
        str(arm.test.n if arm.test else 0),
        _mean(arm.seconds, "{:.0f}"),
        _mean(arm.seconds_per_step, "{:.3f}"),
        NOTHING if arm.peak_memory_bytes is None else f"{arm.peak_memory_bytes / 1e6:.0f} MB",
        weights or NOTHING,
    )


def pair_header(results: StudyResults) -> Row:
    """The heads of the pairs' table."""
    return (
        "pair", f"difference of test {results.metric}", f"{results.confidence:.0%} interval",
        "seeds", "p", "corrected p",
    )  # fmt: skip


def pair_row(pair: Pair, level: float) -> Row:
    """One pair of arms."""
    star = "*" if pair.corrected is not None and pair.corrected < level else ""
    return (
        f"{pair.first} - {pair.second}",
        _mean(pair.difference, "{:+.4f}"),
        interval(pair.difference, "+"),
        str(len(pair.seeds)),
        NOTHING if pair.p is None else f"{pair.p:.4f}",
        NOTHING if pair.corrected is None else f"{pair.corrected:.4f}{star}",
    )


RUN_HEADER = ("run", "status", "dev", "test", "best step", "end-task rows", "seconds")


def run_row(run: RunResult, metric: str) -> Row:
    """One run."""
    if run.dev is None or run.test is None:
        return (run.directory, run.status, *[NOTHING] * 5)
    return (
        run.directory,
        run.status,
        f"{run.dev[metric]:.4f}",
        f"{run.test[metric]:.4f}",
        str(run.best_step),
        str(run.primary_examples),
        f"{run.seconds:.0f}",
    )


def spread(found: Estimate | None) -> str:
    """A mean and its standard deviation: `0.7123 ± 0.0100`."""
    if found is None:
        return NOTHING
    return f"{found.mean:.4f}" + ("" if found.std is None else f" ± {found.std:.4f}")


def interval(found: Estimate | None, sign: str = "") -> str:
    """The interval of a mean: `[0.7001, 0.7245]`."""
    if found is None or found.low is None:
        return NOTHING
    return f"[{found.low:{sign}.4f}, {found.high:{sign}.4f}]"


def tables(results: StudyResults) -> list[Table]:
    """The arms and the pairs, for a terminal."""
    title = f"{results.metric} on test, seeds {', '.join(map(str, results.seeds))}"
    found = [_rich(title, arm_header(results), map(arm_row, results.arms))]
    if results.pairs:
        rows = (pair_row(pair, results.level) for pair in results.pairs)
        found.append(_rich("paired differences", pair_header(results), rows))
    return found


def csv_files(results: StudyResults) -> dict[str, str]:
    """study.csv (arms), pairs.csv and runs.csv, as text: plain numbers, one row each."""
    return {
        "study.csv": _csv(map(_arm_record, results.arms)),
        "pairs.csv": _csv(map(_pair_record, results.pairs)),
        "runs.csv": _csv(map(_run_record, results.runs)),
    }


def _arm_record(arm: ArmResult) -> dict[str, object]:
    """An arm as a row of numbers."""
    record: dict[str, object] = {"arm": arm.name, "label": arm.label}
    record["runs"] = arm.test.n if arm.test else 0
    for split, found in (("test", arm.test), ("dev", arm.dev)):
        for name in ("mean", "std", "low", "high"):
            record[f"{split}_{name}"] = found and getattr(found, name)
    record["seconds"] = arm.seconds and arm.seconds.mean
    record["seconds_per_step"] = arm.seconds_per_step and arm.seconds_per_step.mean
    record["peak_memory_bytes"] = arm.peak_memory_bytes
    record["primary_examples"] = arm.primary_examples
    return record


def _pair_record(pair: Pair) -> dict[str, object]:
    """A pair as a row of numbers."""
    found = pair.difference
    return {
        "first": pair.first,
        "second": pair.second,
        "seeds": len(pair.seeds),
        "difference": found and found.mean,
        "low": found and found.low,
        "high": found and found.high,
        "p": pair.p,
        "corrected_p": pair.corrected,
        "least_p": pair.least,
    }


def _run_record(run: RunResult) -> dict[str, object]:
    """A run as a row of numbers."""
    record: dict[str, object] = {"arm": run.arm, "seed": run.seed, "status": run.status}
    for split, scores in (("dev", run.dev), ("test", run.test)):
        record |= {f"{split}_{name}": value for name, value in (scores or {}).items()}
    for name in (
        "best_step", "steps", "primary_examples", "seconds", "seconds_per_step",
        "peak_memory_bytes",
    ):  # fmt: skip
        record[name] = getattr(run, name)
    record |= {f"weight_{name}": value for name, value in (run.weights or {}).items()}
    return record | {"directory": run.directory, "error": run.error}


def _csv(records: Iterable[Mapping[str, object]]) -> str:
    """Rows as CSV; the columns are those of all rows, in order of appearance."""
    rows = list(records)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _rows(header: Row, rows: Iterable[Row]) -> list[str]:
    """A Markdown table's lines."""
    escape: Callable[[str], str] = lambda text: text.replace("|", "\\|")  # noqa: E731
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(map(escape, line)) + " |" for line in lines]


def _section(title: str, lines: Sequence[str]) -> list[str]:
    """A section of Markdown, if it has lines."""
    return [f"## {title}", "", *lines, ""] if lines else []


def _rich(title: str, header: Row, rows: Iterable[Row]) -> Table:
    """A table for a terminal."""
    table = Table(*header, title=title)
    for row in rows:
        table.add_row(*row)
    return table


def _mean(found: Estimate | None, form: str) -> str:
    """A mean, formatted."""
    return NOTHING if found is None else form.format(found.mean)


def _kind(pairs: Sequence[Pair]) -> str:
    """Whether the tests are exact."""
    exact = all(pair.exact for pair in pairs)
    return "exact: all exchanges within pairs" if exact else "a random sample of exchanges"
