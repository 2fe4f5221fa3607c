"""Write the page of a study, and the same as Markdown, CSV tables and plots."""

from pathlib import Path

from tartan.report.pages import write_csv, write_page
from tartan.report.plot import save
from tartan.report.record import REPORT
from tartan.study import plots, tables
from tartan.study.results import StudyResults

PAGE = "study.html"


def write_tables(results: StudyResults, directory: Path) -> None:
    """Write study.csv, pairs.csv and runs.csv. StorageError where they cannot be written."""
    write_csv(directory / "study.csv", tables.arm_records(results))
    write_csv(directory / "pairs.csv", tables.pair_records(results))
    write_csv(directory / "runs.csv", tables.run_records(results))


def write_study_report(results: StudyResults, directory: Path) -> None:
    """Write figures/, study.md and study.html. StorageError where they cannot be written.

    Args:
        results: of the study.
        directory: the study's, with its runs.
    """
    drawn = {
        "score_plots": plots.score_plots(results),
        "difference_plots": plots.difference_plots(results),
        "curve_plots": plots.curve_plots(results),
        "weight_plots": plots.weight_plots(results),
    }
    save([plot for some in drawn.values() for plot in some], directory / "figures")
    pages = {run.directory: f"{run.directory}/{REPORT}" for run in results.runs}
    context = {
        "results": results,
        "arms": tables.arm_table(results),
        "pairs": tables.pair_table(results),
        "weights": tables.weight_table(results),
        "runs": tables.run_table(results),
        "links": {run: page for run, page in pages.items() if (directory / page).exists()},
        **drawn,
    }
    write_page(directory / "study.md", "study.md", context)
    write_page(directory / PAGE, "study.html", context)
