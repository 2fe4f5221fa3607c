"""The results of a study: study.json, and everything that its page shows.

All values are plain: numbers, texts, lists and maps of them; unknown values are null. Metrics are
as in summary.json (macro-F1 of 0.71, not 71), times are in seconds, memory is in bytes. Directories
are relative to the study's own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

FILE = "study.json"
FORMAT = 1
"""The version of the format; it rises when readers of study.json have to change."""


@dataclass(frozen=True)
class Point:
    """An evaluation on dev, of a learning curve.

    Attributes:
        step: of the run.
        primary_examples: rows of the end task that had been trained on, repetitions counted.
        seconds: spent on training steps until then, evaluations and checkpoints left out.
        value: the study's metric on dev.
    """

    step: int
    primary_examples: int
    seconds: float
    value: float


@dataclass(frozen=True)
class RunResult:
    """One run: figures from summary.json, and its learning curve.

    Attributes:
        arm: its arm's name.
        seed: its seed.
        directory: where it is.
        status: `finished`, `failed` or `unfinished`. The fields below, except `error`, are set for
            finished runs only.
        error: why it failed, in a line; of a finished run, what failed after its results had been
            written: its export, or its page.
        dev: every metric of the end task on dev, of the model that was best there.
        test: the same on test, read once, at the end.
        weights: each objective's weight at the end of the last stage with several objectives.
        best_step: the step that the best model is of.
        steps: how many were taken.
        primary_examples: rows of the end task that were trained on, repetitions counted.
        seconds: spent on steps and evaluations; writing checkpoints is not counted.
        seconds_per_step: of a step alone.
        peak_memory_bytes: of the device where it counts them, else of the process.
        curve: evaluations on dev, in order.
    """

    arm: str
    seed: int
    directory: str
    status: str
    error: str | None = None
    dev: Mapping[str, float] | None = None
    test: Mapping[str, float] | None = None
    weights: Mapping[str, float] | None = None
    best_step: int | None = None
    steps: int | None = None
    primary_examples: int | None = None
    seconds: float | None = None
    seconds_per_step: float | None = None
    peak_memory_bytes: int | None = None
    curve: Sequence[Point] = ()

    @property
    def complete(self) -> bool:
        """Return whether it is finished, and nothing failed afterwards."""
        return self.status == "finished" and self.error is None


@dataclass(frozen=True)
class Estimate:
    """The mean of a sample, its spread and interval.

    Attributes:
        n: how many values there are.
        mean: their mean.
        std: their standard deviation, with n - 1; null for fewer than two.
        low: lower end of the mean's bootstrap interval; null for fewer than two values.
        high: upper end.
    """

    n: int
    mean: float
    std: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class StageSummary:
    """A stage of an arm's schedule.

    Attributes:
        name: of the stage.
        objectives: which train in it.
        weighting: the weighting plugin; null where the stage has one objective.
        steps: its budget.
        primary_examples: how many rows of the end task it may train on.
    """

    name: str
    objectives: Sequence[str]
    weighting: str | None
    steps: int
    primary_examples: int


@dataclass(frozen=True)
class ArmResult:
    """One arm; figures are over its finished runs, and null where there are none.

    Attributes:
        name: as `study.arms` names it, and its directory.
        label: its name on pages.
        overrides: those that define it.
        stages: its schedule.
        dev: the study's metric on dev.
        test: the study's metric on test.
        weights: each objective's weight, mean over runs.
        primary_examples: rows of the end task trained on, mean over runs.
        seconds: of training.
        seconds_per_step: of a step.
        peak_memory_bytes: the largest.
    """

    name: str
    label: str
    overrides: Sequence[str]
    stages: Sequence[StageSummary]
    dev: Estimate | None
    test: Estimate | None
    weights: Mapping[str, float] | None
    primary_examples: float | None
    seconds: Estimate | None
    seconds_per_step: Estimate | None
    peak_memory_bytes: int | None


@dataclass(frozen=True)
class Pair:
    """Two arms on the same seeds: test metric of the first minus that of the second.

    Attributes:
        first: an arm's name.
        second: another's.
        seeds: those that both finished.
        differences: of each seed.
        difference: their mean and its bootstrap interval; null without seeds.
        p: two-sided, of the paired permutation test; null for fewer than two seeds.
        exact: whether all exchanges within pairs were tried, not a sample of them.
        corrected: p by Holm's correction over all pairs of the study.
        least: the smallest corrected p that is possible with this number of seeds and pairs.
        effect: the mean difference divided by the standard deviation of the differences; null for
            fewer than two seeds, or differences that are all alike.
    """

    first: str
    second: str
    seeds: Sequence[int]
    differences: Sequence[float]
    difference: Estimate | None
    p: float | None
    exact: bool
    corrected: float | None
    least: float
    effect: float | None = None


@dataclass(frozen=True)
class SplitUse:
    """What a split of the end task was used for.

    Attributes:
        split: `train`, `dev`, `test` or a corpus.
        rows: how many it has; null where it is streamed.
        used_for: a sentence.
    """

    split: str
    rows: int | None
    used_for: str


@dataclass(frozen=True)
class StudyResults:
    """The results of a study.

    Attributes:
        format: `FORMAT`.
        metric: what is compared; dev chose the best model by it.
        confidence: of the intervals.
        level: the significance level of corrected p values.
        seeds: of every arm.
        common: overrides of every arm that has the option and does not set it itself, as typed.
        budget: what the arms have in common and the budget of each, in sentences.
        splits: which split was used for what.
        arms: in the order of the table.
        pairs: of arms, in the order of the table.
        runs: all, finished or not.
        notes: a sentence each: too few seeds, failed runs, differences between runs.
        conclusions: for each pair, a sentence: which arm is better, or how many seeds are needed.
    """

    format: int
    metric: str
    confidence: float
    level: float
    seeds: Sequence[int]
    common: Sequence[str]
    budget: Sequence[str]
    splits: Sequence[SplitUse]
    arms: Sequence[ArmResult]
    pairs: Sequence[Pair]
    runs: Sequence[RunResult]
    notes: Sequence[str]
    conclusions: Sequence[str] = ()

    @property
    def significant(self) -> Sequence[Pair]:
        """Return the pairs whose corrected p is below the level."""
        return [p for p in self.pairs if p.corrected is not None and p.corrected < self.level]

    @property
    def above(self) -> Sequence[tuple[str, str]]:
        """Return the labels of significant pairs, the better arm first."""
        found = [(pair.difference, self._labels(pair)) for pair in self.significant]
        return [ends if d and d.mean > 0 else (ends[1], ends[0]) for d, ends in found]

    def title(self, pair: Pair) -> str:
        """Return the name of a pair in tables: `MT-TARTAN - Fine-tuning`."""
        return " - ".join(self._labels(pair))

    def _labels(self, pair: Pair) -> tuple[str, str]:
        labels = {arm.name: arm.label for arm in self.arms}
        return labels[pair.first], labels[pair.second]

    def plain(self) -> dict[str, Any]:
        """Return what study.json holds."""
        return asdict(self)
