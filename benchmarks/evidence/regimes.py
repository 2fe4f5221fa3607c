"""The regimes of docs/evidence.md: what all arms share, what each arm is, and its trials."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TRIAL_SEED = 11
"""The seed of trials; the study has seeds 0 to 7."""
ALL_ARMS = (
    "data=citation_intent", "model.max_length=64", "batch_size=16", "eval.patience=0",
    "checkpoint.every=1000", "checkpoint.keep=1", "report=false",
)  # fmt: skip
ARMS: Mapping[str, Sequence[str]] = {
    "finetune": ["schedule=finetune", "objectives=[]"],
    "tapt": ["schedule=pretrain", "objectives=[tapt]"],
    "mt": ["schedule=together", "objectives=[tapt]", "weighting=static"],
    "meta": ["schedule=together", "objectives=[tapt]", "weighting=meta", "weighting.every=4"],
    "gcs": ["schedule=together", "objectives=[tapt]", "weighting=gcs"],
}
RATES = {"meta": "weighting.lr=0.5,2"}
"""Trials of an arm that learns weights: its body's learning rate is that chosen for `mt`."""


@dataclass(frozen=True)
class Regime:
    """One regime.

    Attributes:
        directory: where data, models and results are.
        model: overrides that choose the model.
        data: the task's directory, in `directory/data`.
        steps: of the end task, in every arm.
        every: steps between evaluations.
        body_lr: the trials of the body's learning rate.
        text: overrides of every arm with text.
    """

    directory: Path
    model: Sequence[str]
    data: str
    steps: int
    every: int
    body_lr: str = "1e-4,3e-4"
    text: Sequence[str] = ("objectives.tapt.batch_size=8",)

    def overrides(self, arm: str) -> list[str]:
        """Return the overrides of an arm."""
        return [*ARMS[arm], *(self.text if arm != "finetune" else ())]

    def common(self) -> list[str]:
        """Return the overrides that all arms share."""
        place = self.directory / "data" / self.data
        budget = [f"steps={self.steps}", f"eval.every={self.every}"]
        return [*ALL_ARMS, f"data.dir={place}", *self.model, *budget]

    def trials(self, arm: str, chosen: Mapping[str, Sequence[str]]) -> list[str]:
        """Return the values that an arm tries.

        Args:
            arm: its name.
            chosen: by arm, the values that were chosen for those before it.
        """
        if arm in RATES:
            rate = next(text for text in chosen["mt"] if text.startswith("optimizer.body_lr="))
            return [rate, RATES[arm]]
        return [f"optimizer.body_lr={self.body_lr}"]


def regime(name: str, directory: Path) -> Regime:
    """Return a regime: `a`, `b64`, `b128`, `b256`, `b512` or `c`. KeyError for another name."""
    pretrained = ("model=auto", f"model.name={directory}/models/minilm-acl")
    if name == "a":
        return Regime(directory, pretrained, "citation_intent", steps=640, every=40)
    if name == "c":
        tiny = ("model=tiny", "model.vocab_size=4000", "model.hidden_size=128", "model.heads=4")
        return Regime(
            directory,
            (*tiny, "model.intermediate_size=512"),
            "citation_intent",
            steps=1000,
            every=50,
            body_lr="1e-3,3e-3",
            text=("objectives.tapt.batch_size=16", "objectives.tapt.corpus=[task,domain]"),
        )
    size, steps = {"b64": (64, 64), "b128": (128, 96), "b256": (256, 192), "b512": (512, 384)}[name]
    data = f"citation_intent-{size}/seed${{seed}}"
    return Regime(directory, pretrained, data, steps=steps, every=steps // 6)
