"""Reports as tables in Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.sides import SIDES

MEASURES = {"seconds": "time a step", "tokens": "tokens a second"}


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table: text to the left, figures to the right, columns as wide as needed."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    rule = [
        ("-" * width) if i == 0 else ("-" * (width - 1) + ":") for i, width in enumerate(widths)
    ]
    return "\n".join([line(head), line(rule), *map(line, rows)])


def sides_table(group: Mapping[str, Any], objectives: int) -> str:
    """Return a table of the sides that were timed."""
    head = (
        "side", "precision", "seconds a step", "CPU seconds", "tokens a second",
        "share of matrix peak", "peak memory, GB", "cosine",
    )  # fmt: skip
    rows = [
        (
            SIDES[name].what.replace("n objectives", f"{objectives} objectives"),
            side["precision"],
            f"{side['seconds_per_step']:.3g}",
            f"{side['cpu_seconds_per_step']:.3g}",
            f"{side['tokens_per_second']:,.0f}",
            f"{side['share_of_matrix_peak']:.0%}",
            gigabytes(side["peak_memory_bytes"]),
            f"{side['agreement']['cosine']:.5f}" if side["agreement"] else "reference",
        )
        for name, side in group["sides"].items()
    ]
    return table(head, rows)


def ratios_table(group: Mapping[str, Any]) -> str:
    """Return a table of the ratios."""
    rows = [
        (
            f"{ratio['over']} / {ratio['under']}",
            MEASURES[ratio["measure"]],
            f"{ratio['median']:.2f}",
            f"{ratio['cpu_median']:.2f}",
        )
        for ratio in group["ratios"]
    ]
    return table(("ratio", "of", "by the clock", "by CPU time"), rows)


def memory_table(group: Mapping[str, Any]) -> str:
    """Return a table of the sides whose peak was compared with a static step's."""
    rows = [
        (
            f"{entry['side']} above {entry['above']}",
            gigabytes(entry["bytes"]),
            f"{entry['gradient_copies']:.2f}",
        )
        for entry in group["extra_memory"]
    ]
    return table(("peak memory", "GB", "copies of the body's gradient"), rows)


def source(report: Mapping[str, Any]) -> str:
    """Return the origin of a report, in two lines."""
    machine, versions = report["machine"], report["versions"]
    device = machine.get("gpu") or f"{machine['processor']}, {machine['cores']} cores"
    peaks = ", ".join(
        f"{precision} {peak / 1e12:.3g}" for precision, peak in report["matrix_peak_flops"].items()
    )
    measured = f"; matrix peak {peaks} TFLOP/s" if peaks else ""
    return (
        f"    {report['command']}\n\n"
        f"{report['date']}, commit {report['commit']}; {device}; torch {versions['torch']}, "
        f"transformers {versions['transformers']}{measured}."
    )


def gigabytes(count: int | None) -> str:
    """Return bytes in units of 10^9."""
    return "-" if count is None else f"{count / 1e9:.2f}"


def group_tables(group: Mapping[str, Any], objectives: int) -> str:
    """Return a group's tables, and what was not timed."""
    parts = [sides_table(group, objectives)]
    parts += [ratios_table(group)] if group["ratios"] else []
    parts += [memory_table(group)] if group["extra_memory"] else []
    parts += [f"{name} was not timed: {why}." for name, why in group["refused"].items()]
    return "\n\n".join(parts)


def page(report: Mapping[str, Any]) -> str:
    """Return the tables of a report."""
    objectives = report["setting"]["objectives"]
    tables = (group_tables(group, objectives) for group in report["groups"].values())
    return "\n\n".join([source(report), *tables])


def parts_page(report: Mapping[str, Any]) -> str:
    """Return the table of a report of parts."""
    rows = [
        (
            part["what"],
            part["plain"],
            part["own"],
            f"{part['seconds'] * 1e3:.3g}",
            f"{part['ratio']:.2f}",
        )
        for part in report["parts"]
    ]
    head = "part", "plain", "tartan", "tartan, ms", "times faster"
    return f"{source(report)}\n\n{table(head, rows)}"


def scale_table(report: Mapping[str, Any], axis: str) -> str:
    """Return a table of the values of an axis: seconds a step, ratios, shares of peak, memory."""
    points = [point for point in report["points"] if point["axis"] == axis]
    names = [name for name in SCALED if any(name in point["sides"] for point in points)]
    head = (
        axis, *(f"{SCALED[name]}, s" for name in names), "meta / static",
        *(f"{SCALED[name]}, share of peak" for name in names),
        "static, peak GB", *(f"{SCALED[name]}, copies more" for name in names[1:]),
    )  # fmt: skip
    return table(head, [_scale_row(point, names) for point in points])


GROWING = ("objectives", "batch", "length", "model")
"""What can grow: fields of a setting."""

SCALED = {
    "tartan-static-n": "static",
    "tartan-meta-n": "meta",
    "tartan-gramian": "Gramian",
}
"""What the columns of a table of scale are called."""


def _scale_row(point: Mapping[str, Any], names: Sequence[str]) -> tuple[str, ...]:
    sides = point["sides"]
    ratios = {(ratio["over"], ratio["under"]): ratio["median"] for ratio in point["ratios"]}
    copies = {entry["side"]: f"{entry['gradient_copies']:.1f}" for entry in point["extra_memory"]}
    seconds = (f"{sides[name]['seconds_per_step']:.3g}" for name in names)
    shares = (f"{sides[name]['share_of_matrix_peak']:.0%}" for name in names)
    ratio = ratios.get(("tartan-meta-n", "tartan-static-n"))
    return (
        str(point["value"]),
        *seconds,
        "-" if ratio is None else f"{ratio:.2f}",
        *shares,
        gigabytes(sides["tartan-static-n"]["peak_memory_bytes"]),
        *(copies.get(name, "-") for name in names[1:]),
    )


def scale_page(report: Mapping[str, Any]) -> str:
    """Return the tables of a report of scale."""
    axes = dict.fromkeys(point["axis"] for point in report["points"])
    base = ", ".join(f"{name} {report['base'][name]}" for name in GROWING)
    parts = [source(report), f"Unless it grows: {base}."]
    return "\n\n".join([*parts, *(scale_table(report, axis) for axis in axes)])
