"""The Python API: train from a script or notebook, and use what was trained."""

import io
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext, redirect_stdout
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tartan.body.exported import load_model, load_tokenizer
from tartan.config.compose_run import compose_run
from tartan.config.values import overrides_of
from tartan.experiment.directories import existing, remove_empty
from tartan.experiment.process_state import restored_settings
from tartan.experiment.run import run as run_composed
from tartan.inference.inputs import as_inputs
from tartan.inference.model import finished_summary, long_texts, read_pairs, trusted
from tartan.inference.predictions import Prediction
from tartan.inference.predictor import Predictor
from tartan.plugins import discover
from tartan.report.record import METRICS, MODEL, read_lines


@dataclass(frozen=True)
class Run:
    """A finished run, read from its directory.

    Attributes:
        directory: where its files are, a path or its text.
    """

    directory: Path

    def __post_init__(self) -> None:
        """CheckpointError unless a finished run is there."""
        object.__setattr__(self, "directory", Path(self.directory).expanduser().absolute())
        _ = self.summary

    @cached_property
    def summary(self) -> Mapping[str, Any]:
        """Return the content of summary.json."""
        return finished_summary(self.directory)

    @property
    def scores(self) -> Mapping[str, Mapping[str, float]]:
        """Return the end task's metrics on `dev` and `test`."""
        return {split: self.summary[split] for split in ("dev", "test")}

    @cached_property
    def history(self) -> list[dict[str, Any]]:
        """Return the lines of metrics.jsonl; `pandas.DataFrame(run.history)` is a table."""
        return read_lines(self.directory / METRICS)

    @property
    def paths(self) -> Mapping[str, Path]:
        """Return the run's files and directories by name: `model`, `report.html`, and so on."""
        return {p.name: p for p in sorted(self.directory.iterdir()) if not p.name.startswith(".")}

    @cached_property
    def model(self) -> PreTrainedModel:
        """Return the best model, as `from_pretrained` reads `paths["model"]`, in evaluation mode.

        Code of a model's own runs only if the run had `model.trust_remote_code=true`.
        """
        return load_model(self.directory / MODEL, trusted(self.summary))

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """Return the model's tokenizer; it cuts texts where training did."""
        return load_tokenizer(self.directory / MODEL, trusted(self.summary))

    def predict(
        self,
        texts: Iterable[str | tuple[str, str] | Sequence[str]],
        batch_size: int = 64,
        device: str = "auto",
    ) -> list[Prediction]:
        """Return the prediction for each text, with all probabilities.

        Args:
            texts: texts; pairs of texts as tuples, for a model of pairs; where words are tagged,
                lists of words, or texts, which are divided at white space.
            batch_size: rows that the model reads at once, at least 1.
            device: `auto`, or a torch device.

        Raises:
            ConfigError: `batch_size` is less, or the device is not available.
            DataError: a text is empty, not a text, or not what the model reads; or it is one text.
        """
        predictor = Predictor.of(
            deepcopy(self.model), self.tokenizer, device, long_texts(self.summary)
        )
        rows = as_inputs(texts, predictor.kind, read_pairs(self.summary))
        return list(predictor.predict(rows, batch_size))

    def __repr__(self) -> str:
        """Return the directory and the scores in a line."""
        scores = (
            f"{split} {name} {value:.4f}"
            for split, values in self.scores.items()
            for name, value in values.items()
        )
        return f"Run({str(self.directory)!r}: {', '.join(scores)})"


def run(
    *overrides: str, config_dir: str | None = None, verbose: bool = True, **options: Any
) -> Run:
    """Train as `python -m tartan run` does, and return what came out.

    Options are overrides as they are typed on the command line, or keywords with Python values; a
    dotted name is a key of a dictionary:

        tartan.run("objectives=[mlm]", "weighting=meta", "data=jsonl", "data.dir=my_task")
        tartan.run(objectives=["mlm"], weighting="meta", data="jsonl", **{"data.dir": "my_task"})

    The run directory is `run_dir`, by default a new one in outputs/; a run that is there already is
    resumed, or read if it is complete. Nothing of the process is changed but these files: random
    generators, switches of torch, signal handlers, Hydra's state and malloc are afterwards as they
    were before. Under a launcher of several processes each one calls this; all of them read the
    run that rank 0 writes, and wait for each other when the program ends. There, an error of
    training ends all processes within 15 seconds, also if the program catches it.

    Args:
        overrides: as on the command line.
        config_dir: a further directory of configurations, `--config-dir` on the command line.
        verbose: whether progress and scores are printed.
        options: by name; they follow the overrides.

    Returns:
        The finished run: scores, history, model, tokenizer, paths.

    Raises:
        TartanError: an option, the data or the model cannot be used, or training failed; nothing
            is written where it is refused before training.
        Interrupted: Ctrl-C or another signal, a `KeyboardInterrupt`; the last step is saved.
    """
    composed = compose_run([*overrides, *overrides_of(options)], config_dir)
    before = existing([("run_dir", str(composed.directory))])
    printed = nullcontext() if verbose else redirect_stdout(io.StringIO())
    try:
        with restored_settings(), printed:
            directory, _ = run_composed(
                composed.config, composed.directory, composed.files, discover()
            )
    finally:
        remove_empty(composed.directory, before)
    return Run(directory)
