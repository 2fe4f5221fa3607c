"""The stages of a schedule: as they are configured, and complete."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tartan.errors import ConfigError, suggest
from tartan.train.optimiser import OptimiserOptions

SELECTIONS = ("all", "primary", "auxiliary")


@dataclass
class StageOptions:
    """One stage of a schedule. Options that it does not set are the run's.

    Attributes:
        objectives: which train: `all`, `primary`, `auxiliary`, or a list of names, in which
            `primary` stands for the end task too.
        weighting: the plugin that weighs them, by its name or as a map of `plugin` and the plugin's
            options; null for the run's own.
        steps: the budget in steps.
        epochs: the budget in passes over the end task's rows; it replaces steps.
        patience: evaluations without a better value after which the stage ends; 0 for never.
        optimizer: what differs from the run's optimizer.
    """

    objectives: Any = "all"
    weighting: Any = None
    steps: int = "${steps}"  # type: ignore[assignment]  # Hydra puts the run's number here
    epochs: float | None = None
    patience: int = "${eval.patience}"  # type: ignore[assignment]
    optimizer: dict[str, float] = field(default_factory=dict)

    def select(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return which of a run's objectives train here.

        Args:
            names: the run's objectives, the primary first.

        Returns:
            Their names in the run's order, so the primary first.
        """
        primary, *auxiliary = names
        if self.objectives == "all":
            return tuple(names)
        if self.objectives == "auxiliary":
            return tuple(auxiliary)
        chosen = [self.objectives] if isinstance(self.objectives, str) else self.objectives
        return tuple(
            name for name in names if name in chosen or (name == primary and "primary" in chosen)
        )


@dataclass(frozen=True)
class StagePlan:
    """One stage of a run, with every number and choice its own.

    Attributes:
        names: the objectives that train, in the run's order, so the primary first.
        weighting: `plugin`, which weighs them, and the options that are set.
        steps: the budget.
        patience: evaluations without a better value after which the stage ends; 0 for never.
        optimizer: its options.
        trains_primary: whether the end task trains here, so that evaluations on dev are useful.
        selection: the objectives as they were selected: `all`, or `dapt, tapt`.
    """

    names: tuple[str, ...]
    weighting: Mapping[str, Any]
    steps: int
    patience: int
    optimizer: OptimiserOptions
    trains_primary: bool
    selection: str


def check_selection(objectives: Any, names: Sequence[str], where: str) -> None:
    """Check that a stage's `objectives` select some of a run's objectives.

    Args:
        objectives: as configured.
        names: the run's objectives, the primary first.
        where: the option's dotted name, for errors.

    Raises:
        ConfigError: it is neither a selection nor a list of names.
    """
    primary, *auxiliary = names
    if isinstance(objectives, str) and objectives not in SELECTIONS:
        hint = f"write [{objectives}]" if objectives in names else suggest(objectives, SELECTIONS)
        raise ConfigError(f"{where} is '{objectives}': {hint}; a list names objectives")
    if objectives == "auxiliary" and not auxiliary:
        raise ConfigError(
            f"{where} is 'auxiliary', but the run has no auxiliary objectives: name some, "
            "'objectives=[mlm]', or choose schedule=finetune"
        )
    if isinstance(objectives, str):
        return
    if not isinstance(objectives, list) or not all(isinstance(name, str) for name in objectives):
        raise ConfigError(f"{where} is {objectives}: give all, primary, auxiliary or a list")
    if not objectives:
        raise ConfigError(f"{where} is []: name at least one objective")
    if len({primary if name == "primary" else name for name in objectives}) < len(objectives):
        raise ConfigError(f"{where} is {objectives}: name each objective once")


def check_listed(stages: Mapping[str, StageOptions], names: Sequence[str]) -> None:
    """Check that the objectives that stages list are a run's; all that are missing are named.

    Args:
        stages: by name; the selections have passed `check_selection`.
        names: the run's objectives, the primary first.
    """
    listed = [
        (name, f"schedule.stages.{stage}.objectives")
        for stage, options in stages.items()
        if isinstance(options.objectives, list)
        for name in options.objectives
    ]
    missing = {name: where for name, where in listed if name not in ("primary", *names)}
    if missing:
        (name, where), *_ = missing.items()
        selected = ",".join([*names[1:], *missing])
        raise ConfigError(
            f"{where}: {name} is not an objective of the run; add it: 'objectives=[{selected}]'"
        )
