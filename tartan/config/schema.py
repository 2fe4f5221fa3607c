"""The typed schema of a run's configuration: every option of the command line."""

from dataclasses import dataclass, field
from typing import Any

from tartan.checks import check_choice, check_ranges
from tartan.train.optimiser import OptimiserOptions
from tartan.train.schedule import StageOptions


@dataclass
class EvalOptions:
    """Evaluation of the end task on dev.

    Attributes:
        every: steps between evaluations.
        epochs: passes over the end task's rows between evaluations; they stand in for steps.
        patience: evaluations without a better value after which a stage ends; 0 for never.
        metric: the metric of early stopping and of the best model; by default the data's customary
            metric, or the end task's first if the data names none.
        batch_size: rows an evaluation reads at once.
    """

    every: int = 30
    epochs: float | None = None
    patience: int = 20
    metric: str | None = "${data.metric}"
    batch_size: int = 64

    def __post_init__(self) -> None:
        """ConfigError where a number has no meaning."""
        ranges = {"every": "[1, inf)", "batch_size": "[1, inf)", "patience": "[0, inf)"}
        check_ranges("eval", self, **ranges, epochs="(0, inf) or null")


@dataclass
class CheckpointOptions:
    """Resumable state.

    Attributes:
        every: steps between checkpoints; each stage also ends with one.
        keep: number of checkpoints to keep, the newest ones.
    """

    every: int = 200
    keep: int = 2

    def __post_init__(self) -> None:
        """ConfigError where a number has no meaning."""
        check_ranges("checkpoint", self, every="[1, inf)", keep="[1, inf)")


@dataclass
class LogOptions:
    """Training metrics.

    Attributes:
        every: steps between lines of metrics.jsonl; a line holds means over them.
    """

    every: int = 10

    def __post_init__(self) -> None:
        """ConfigError where a number has no meaning."""
        check_ranges("log", self, every="[1, inf)")


@dataclass
class ScheduleConfig:
    """The schedule of a run.

    Attributes:
        stages: by name, in order.
    """

    stages: dict[str, StageOptions] = field(default_factory=dict)


@dataclass
class Config:
    """One run.

    Attributes:
        primary: the end task: `plugin`, `batch_size`, `scale`, `schedule` and the plugin's options.
            The loss is multiplied by `scale`, which changes over each stage by `schedule`:
            `constant`, `linear` or `cosine` (towards 0), `linear_up` or `cosine_up` (from 0).
        objectives: auxiliary objectives by name, each like `primary`; one on labels has `data` of
            its own besides.
        weighting: `plugin` and the plugin's options.
        data: `source`, the source's options, and `metric`, the data's customary metric, if any.
        model: `kind` and its options.
        schedule: the stages.
        optimizer: learning rates and AdamW's options, unless a stage has its own.
        seed: determines all random choices.
        steps: budget of a stage, unless it has its own.
        batch_size: rows in a micro-batch of each objective, unless it has its own.
        accumulate: micro-batches of each objective in a step.
        precision: `auto`, `fp32`, `bf16`, or `fp16`, where losses are multiplied by a factor that
            follows overflows; `auto` never chooses it.
        sharded: whether the processes of a run divide the body's parameters among them, instead of
            each holding a copy.
        sharded_optimizer: whether they divide the optimiser's moments instead, and each holds the
            body.
        tf32: whether float32 matrix products on a GPU round their factors to TF32, which is several
            times as fast; matters with precision=fp32.
        device: `auto`, or a torch device.
        compile: whether torch.compile fuses the body's layers; the first steps are then slow.
            `true`, `false`, or `auto`: where that was measured to be faster, so far nowhere.
        cuda_graphs: whether the kernels of a pass through the body's layers, all but the last, are
            launched together on a GPU; needs precision=bf16, and more memory.
        on_nonfinite: what to do if a step's loss or gradient is not finite: `stop`, or `skip`,
            which changes nothing in that step.
        max_skipped: number of steps that a run may skip before it stops.
        run_dir: the directory the run writes its files to.
        resume: `auto` resumes from run_dir's newest checkpoint if it has one; `never` refuses a
            directory that has a run; a run's directory resumes that run.
        resume_changed: whether a run is resumed although its configuration, data or device
            changed; summary.json records what changed.
        cache: whether tokenised texts stay on disk for the next run, where `datasets` keeps its
            files (HF_DATASETS_CACHE).
        eval: evaluation.
        checkpoint: resumable state.
        log: training metrics.
        report: whether the run writes a page with plots and tables.
        report_examples: largest number of dev texts that the page shows, the worst predicted
            first; 0 keeps all texts out of the run's files.
        tracker: where metrics also go: `tensorboard`, `wandb`, `mlflow` or `trackio`; null for
            none.
        export: a further format of the model: `onnx` writes `model/onnx/`; null for none.
        push_to_hub: whether the model is uploaded to the Hugging Face hub when the run is complete.
        hub_model_id: its name there: OWNER/NAME, or NAME in one's own account.
        hub_private_repo: whether the repository is private if it is created; null for the account's
            default.
    """

    primary: Any = None
    objectives: dict[str, Any] = field(default_factory=dict)
    weighting: Any = None
    data: Any = None
    model: Any = None
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    optimizer: OptimiserOptions = field(default_factory=OptimiserOptions)
    seed: int = 0
    steps: int = 400
    batch_size: int = 32
    accumulate: int = 1
    precision: str = "auto"
    sharded: bool = False
    sharded_optimizer: bool = False
    tf32: bool = False
    device: str = "auto"
    compile: str = "auto"
    cuda_graphs: bool = False
    on_nonfinite: str = "stop"
    max_skipped: int = 10
    run_dir: str = ""
    resume: str = "auto"
    resume_changed: bool = False
    cache: bool = True
    eval: EvalOptions = field(default_factory=EvalOptions)
    checkpoint: CheckpointOptions = field(default_factory=CheckpointOptions)
    log: LogOptions = field(default_factory=LogOptions)
    report: bool = True
    report_examples: int = 10
    tracker: str | None = None
    export: str | None = None
    push_to_hub: bool = False
    hub_model_id: str | None = None
    hub_private_repo: bool | None = None

    def __post_init__(self) -> None:
        """ConfigError where a number has no meaning."""
        check_ranges("", self, steps="[1, inf)", batch_size="[1, inf)", accumulate="[1, inf)")
        check_ranges("", self, seed="[0, inf)", max_skipped="[0, inf)", report_examples="[0, inf)")
        self.compile = self.compile.lower()  # OmegaConf makes a word of true
        check_choice("compile", self.compile, ("auto", "true", "false"))
        check_choice("on_nonfinite", self.on_nonfinite, ("stop", "skip"))
