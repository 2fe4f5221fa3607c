"""The regimes of docs/evidence.md: what all arms share, what each arm is, and its trials."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TRIAL_SEED = 11
"""The seed of trials; the study has seeds 0 to 7."""
EVERY = 4
"""Steps between two measurements of META."""
TRAVEL = 22.0
"""What META's learning rate of the logits is, times the number of measurements."""
ALL_ARMS = (
    "data=citation_intent", "model.max_length=64", "batch_size=16", "eval.patience=0",
    "checkpoint.every=1000", "checkpoint.keep=1", "report=false",
)  # fmt: skip
ARMS: Mapping[str, Sequence[str]] = {
    "finetune": ["schedule=finetune", "objectives=[]"],
    "tapt": ["schedule=pretrain", "objectives=[tapt]"],
    "mt": ["schedule=together", "objectives=[tapt]", "weighting=static"],
    "meta": [
        "schedule=together",
        "objectives=[tapt]",
        "weighting=meta",
        f"weighting.every={EVERY}",
    ],
    "gcs": ["schedule=together", "objectives=[tapt]", "weighting=gcs"],
    "pcd": ["schedule=together", "objectives=[tapt]", "weighting=pcd"],
}


@dataclass(frozen=True)
class Regime:
    """One regime.

    Attributes:
        directory: where data, models and results are.
        model: overrides that choose the model.
        data: the task's directory, in `directory/data`.
        steps: of the end task, in every arm.
        every: steps between evaluations.
        body_lr: the trials of the body's learning rate, in every arm.
        more_lr: further trials of it in arms that never add losses: the end task alone and TAPT.
        scale: the trials of MLM's scale in the other arms; as many values as the trials of
            `more_lr` allow, so that every arm has the same number of trials.
        text: overrides of every arm with text.
    """

    directory: Path
    model: Sequence[str]
    data: str
    steps: int
    every: int
    body_lr: str = "1e-4,3e-4"
    more_lr: str = ""
    scale: str = ""
    text: Sequence[str] = ("objectives.tapt.batch_size=8",)

    def overrides(self, arm: str) -> list[str]:
        """Return the overrides of an arm."""
        found = [*ARMS[arm], *(self.text if arm != "finetune" else ())]
        if arm == "meta":
            found.append(f"weighting.lr={TRAVEL * EVERY / self.steps:.3g}")
        return found

    def common(self) -> list[str]:
        """Return the overrides that all arms share."""
        place = self.directory / "data" / self.data
        budget = [f"steps={self.steps}", f"eval.every={self.every}"]
        return [*ALL_ARMS, f"data.dir={place}", *self.model, *budget]

    def trials(self, arm: str) -> list[str]:
        """Return the values that an arm tries: every combination of them."""
        if arm in ("finetune", "tapt"):
            return [f"optimizer.body_lr={self.body_lr}{self.more_lr}"]
        scale = [f"objectives.tapt.scale={self.scale}"] if self.scale else []
        return [f"optimizer.body_lr={self.body_lr}", *scale]


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
            steps=2000,
            every=100,
            body_lr="1e-3,3e-3",
            more_lr=",3e-4,5e-3",
            scale="1,0.1",
            text=("objectives.tapt.batch_size=32", "objectives.tapt.corpus=[task,domain]"),
        )
    size, steps = {"b64": (64, 64), "b128": (128, 96), "b256": (256, 192), "b512": (512, 384)}[name]
    data = f"citation_intent-{size}/seed${{seed}}"
    return Regime(directory, pretrained, data, steps=steps, every=steps // 6)
