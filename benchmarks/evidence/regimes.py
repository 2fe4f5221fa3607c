"""The regimes of docs/evidence.md: what all arms share, what each arm is, and its trials."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

TRIAL_SEED = 11
"""The seed of trials; studies have seeds 0 to 7, and one 12 to 39."""
EVERY = 4
"""Steps between two measurements of META."""
TRAVEL = 22.0
"""What META's learning rate of the logits is, times the number of measurements."""
ALL_ARMS = (
    "model.max_length=64", "batch_size=16", "eval.patience=0",
    "checkpoint.every=1000", "checkpoint.keep=1", "report=false",
)  # fmt: skip
TAPT: Mapping[str, Sequence[str]] = {"tapt": ["batch_size=8"]}
"""MLM on the task's texts."""
SUPCON: Mapping[str, Sequence[str]] = {"supcon": ["batch_size=16"]}
"""An objective on labels: supervised contrastive learning."""
ALONE = ("schedule=finetune", "objectives=[]")
"""The end task alone."""
ARMS: Mapping[str, Sequence[str]] = {
    "finetune": ALONE,
    "finetune_high": ALONE,
    "tapt": ["schedule=pretrain"],
    "mt": ["weighting=static"],
    "meta": ["weighting=meta", f"weighting.every={EVERY}"],
    "released": ["weighting=meta", f"weighting.every={EVERY}"],
    "gcs": ["weighting=gcs"],
    "pcd": ["weighting=pcd"],
}
"""Every arm's way of training; those after `tapt` have the regime's schedule and objectives."""
STANDARD = ("finetune", "tapt", "mt", "meta", "gcs", "pcd")
"""The arms of most regimes."""


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
        objectives: the auxiliary objectives, with their options; the arm TAPT has `tapt` alone.
        schedule: of the arms that train some of them beside the end task.
        arms: those that are run.
        task: the name of the task's data.
        seeds: of the study.
        values: what earlier trials chose, by arm, in place of trials.
    """

    directory: Path
    model: Sequence[str]
    data: str
    steps: int
    every: int
    body_lr: str = "1e-4,3e-4"
    more_lr: str = ""
    scale: str = ""
    objectives: Mapping[str, Sequence[str]] = field(default_factory=lambda: TAPT)
    schedule: str = "together"
    arms: Sequence[str] = STANDARD
    task: str = "citation_intent"
    seeds: Sequence[int] = range(8)
    values: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def has_subsets(self) -> bool:
        """Return whether each seed has a part of the task's labels."""
        return "${seed}" in self.data

    def overrides(self, arm: str) -> list[str]:
        """Return the overrides of an arm."""
        if ARMS[arm] is ALONE:
            return [*ALONE]
        names = ["tapt"] if arm == "tapt" else list(self.objectives)
        schedule = [] if arm == "tapt" else [f"schedule={self.schedule}"]
        found = [*schedule, *ARMS[arm], f"objectives=[{','.join(names)}]"]
        found += [f"objectives.{name}.{one}" for name in names for one in self.objectives[name]]
        if arm == "meta":
            found.append(f"weighting.lr={TRAVEL * EVERY / self.steps:.3g}")
        return found

    def common(self) -> list[str]:
        """Return the overrides that all arms share."""
        place = self.directory / "data" / self.data
        budget = [f"steps={self.steps}", f"eval.every={self.every}"]
        return [f"data={self.task}", *ALL_ARMS, f"data.dir={place}", *self.model, *budget]

    def trials(self, arm: str) -> list[str]:
        """Return the values that an arm tries: every combination of them."""
        if arm in ("finetune", "tapt"):
            return [f"optimizer.body_lr={self.body_lr}{self.more_lr}"]
        scale = [f"objectives.tapt.scale={self.scale}"] if self.scale else []
        return [f"optimizer.body_lr={self.body_lr}", *scale]


FURTHER: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "a1280": ("a", {"steps": 1280, "every": 80}),
    "rest128": ("b128", {"arms": ("finetune", "meta", "pcd")}),
    "supcon128": ("b128", {"objectives": SUPCON, "arms": ("finetune", "mt", "meta", "gcs")}),
    "again128": (
        "supcon128",
        {
            "arms": ("finetune", "finetune_high", "mt"),
            "seeds": range(12, 40),
            "values": {
                "finetune": ["optimizer.body_lr=1e-4"],
                "finetune_high": ["optimizer.body_lr=3e-4"],
                "mt": ["optimizer.body_lr=3e-4"],
            },
        },
    ),
    "released128": (
        "again128",
        {
            "arms": ("finetune", "released"),
            "values": {
                "finetune": ["optimizer.body_lr=1e-4"],
                "released": ["optimizer.body_lr=3e-4"],
            },
        },
    ),
    "after64": (
        "b64",
        {
            "schedule": "tapt_together",
            "objectives": {**TAPT, **SUPCON},
            "arms": ("finetune", "tapt", "mt", "meta", "gcs"),
        },
    ),
    "c4000": (
        "c",
        {"steps": 4000, "every": 200, "arms": ("finetune", "mt"), "more_lr": "", "scale": ""},
    ),
    "sciie128": (
        "b128",
        {"task": "sciie", "data": "sciie-128/seed${seed}", "steps": 128, "every": 16},
    ),
    "supcon_sciie128": (
        "sciie128",
        {"objectives": SUPCON, "arms": ("finetune", "mt", "meta", "gcs")},
    ),
}
"""Further questions: the regime that each changes, and how."""


def regime(name: str, directory: Path) -> Regime:
    """Return a regime; KeyError for an unknown name.

    Args:
        name: `a`, `b64`, `b128`, `b256`, `b512`, `c`, or one of the further questions: `a1280` and
            `c4000`, (a) and (c) with twice the steps, `rest128`, the arms that `b128` lacks,
            `supcon128`, 128 labels and an objective on labels, `again128`, its MT with other seeds,
            `released128`, META with the released learning rate of the logits in MT's place there,
            or `after64`, 64 labels and the same objective after TAPT. `sciie128` is 128 labels of
            the second task, `supcon_sciie128` the same with that objective in MLM's place.
        directory: where data, models and results are.
    """
    if name in FURTHER:
        base, changes = FURTHER[name]
        return replace(regime(base, directory), **changes)
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
            objectives={"tapt": ["batch_size=32", "corpus=[task,domain]"]},
        )
    size, steps = {"b64": (64, 64), "b128": (128, 96), "b256": (256, 192), "b512": (512, 384)}[name]
    data = f"citation_intent-{size}/seed${{seed}}"
    return Regime(directory, pretrained, data, steps=steps, every=steps // 6)
