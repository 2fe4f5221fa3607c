"""Compare a run with what its directory holds: what is refused, and what is reported."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tartan.config.parse import resolved
from tartan.config.schema import Config
from tartan.errors import CheckpointError, ConfigError
from tartan.experiment.identity import (
    CONTENT,
    NOTED,
    REFUSED,
    Identity,
    dependent,
    describe,
    differing_keys,
    differing_parts,
    parse_identity,
    value_at,
)
from tartan.experiment.plan import Plan
from tartan.report.record import CONFIG, ORIGIN, SUMMARY, read_config, read_json
from tartan.train.checkpoint import IDENTITY, sealed_identity

USED_AFTER_TRAINING = (
    "device", "precision", "tf32", "compile", "eval.batch_size", "model.lora.export",
)  # fmt: skip
"""Keys of the final evaluation and the export, which may change once all steps are taken."""

Change = Mapping[str, Any]
"""What changed where a run resumed: `step`, `changed` (names), `values` (before and after)."""


@dataclass(frozen=True)
class Saved:
    """What a directory's run was when it was last saved.

    Attributes:
        source: the file or checkpoint that says so.
        configuration: the run's, without keys that may differ.
        identity: what the run depended on; None where that was not recorded.
        changes: what changed where it resumed before.
        notices: what the user should know of these records, a line each.
        finished: whether the run is complete.
    """

    source: Path
    configuration: Mapping[str, Any]
    identity: Identity | None = None
    changes: Sequence[Change] = ()
    notices: Sequence[str] = ()
    finished: bool = False


@dataclass(frozen=True)
class Comparison:
    """How a run differs from what its directory holds.

    Attributes:
        changed: names of what differs and was allowed to.
        values: before and after, of what has short values.
        notices: what the user should know of it, a line each.
    """

    changed: Sequence[str] = ()
    values: Mapping[str, Sequence[Any]] | None = None
    notices: Sequence[str] = ()

    @property
    def rescored(self) -> bool:
        """Whether scores on dev are of another metric or of other rows than before."""
        return not {"eval.metric", "data (dev)"}.isdisjoint(self.changed)

    def added(self, changes: Sequence[Change], step: int) -> list[Change]:
        """Return changes with these, which came at a step."""
        new = [{"step": step, "changed": list(self.changed), "values": dict(self.values or {})}]
        return [*changes, *(new if self.changed else [])]


def has_run(directory: Path) -> bool:
    """Return whether a directory holds a run, finished or not."""
    kept = (CONFIG, SUMMARY, ORIGIN)
    return any((directory / name).exists() for name in kept) or any(
        directory.glob("checkpoints/checkpoint-*")
    )


def run_directory(config: Config, directory: Path) -> Path:
    """Return where the run is: a directory named by `resume`, or its own."""
    if config.resume in ("auto", "never"):
        return directory
    if not has_run(Path(config.resume)):
        raise ConfigError(
            f"resume={config.resume}: no run is there; give a run's directory, auto or never"
        )
    return Path(config.resume)


def finished_run(directory: Path, summary: Mapping[str, Any]) -> Saved:
    """Return what the summary of a finished run says. CheckpointError if it cannot be read."""
    path, changes = directory / SUMMARY, summary["changes"]
    if "identity" not in summary:
        notice = (
            f"{path} does not say which data, model and plugins the run used: an older version "
            "wrote it. Only the configuration was compared"
        )
        configuration = read_configuration(directory) or {}
        return Saved(path, configuration, None, changes, [notice], finished=True)
    identity = parse_identity(summary["identity"], path)
    return Saved(
        path, identity.parts["configuration"], identity, changes, _missing(directory), finished=True
    )


def unfinished_run(plan: Plan, checkpoint: Path | None) -> Saved | None:
    """Return what a run's newest checkpoint says, or its configuration; None where there is no run.

    Args:
        plan: the run that is to resume.
        checkpoint: the newest usable one.

    Raises:
        CheckpointError: a record cannot be read, the checkpoint has none, or it belongs to another
            run, and `resume_changed` does not allow that.
    """
    directory = plan.directory
    if checkpoint is None:
        configuration = read_configuration(directory)
        return None if configuration is None else Saved(directory / CONFIG, configuration)
    content = sealed_identity(checkpoint)
    if content is None:
        raise CheckpointError(
            f"{checkpoint} does not say which data, model and plugins its run used: an older "
            "version wrote it. Finish the run with that version, or choose another run_dir"
        )
    path = checkpoint / IDENTITY
    identity, changes = _sealed(content, path)
    origin = (read_json(directory / ORIGIN) or {}).get("run")
    notices = _missing(directory)
    if origin is None:
        notices.append(f"{directory / ORIGIN} was missing and was restored from {checkpoint.name}")
    elif origin != identity.run:
        if not plan.config.resume_changed:
            raise CheckpointError(
                f"{checkpoint} belongs to another run. Remove it, choose another run_dir, or set "
                "resume_changed=true to resume from it"
            )
        notices.append(f"{checkpoint.name} belongs to another run, {identity.run}")
    return Saved(checkpoint, identity.parts["configuration"], identity, changes, notices)


def check_configuration(saved: Saved, plan: Plan) -> None:
    """Compare configurations, which needs nothing to be built.

    Args:
        saved: what the directory holds.
        plan: the run that is to resume, or is complete.

    Raises:
        CheckpointError: they differ and may not.
    """
    keys = sorted(differing_keys(saved.configuration, dependent(plan.values)))
    if not keys:
        return
    other = f"{plan.directory} has a run of another configuration ({', '.join(keys)} differ)"
    if saved.finished:
        raise CheckpointError(f"{other}, and it is complete. Choose another run_dir")
    if not plan.config.resume_changed:
        raise CheckpointError(
            f"{other}. Give the same one to resume it, choose another run_dir, or set "
            "resume_changed=true to resume with the new one"
        )


def check_trained(saved: Saved, plan: Plan) -> None:
    """Compare the configuration of a run whose steps are all taken, as training cannot follow it.

    Args:
        saved: what its last checkpoint says.
        plan: the run that is to be evaluated and exported.

    Raises:
        CheckpointError: it differs in more than `USED_AFTER_TRAINING`.
    """
    keys = differing_keys(saved.configuration, dependent(plan.values))
    late = sorted(key for key in keys if key not in USED_AFTER_TRAINING)
    if late:
        raise CheckpointError(
            f"{plan.directory} has a run of another configuration ({', '.join(late)} differ), and "
            "all of its steps are taken. Give the same one to evaluate and export its model, or "
            "choose another run_dir"
        )


def compare(saved: Saved | None, now: Identity, plan: Plan) -> Comparison:
    """Compare what a run depends on with what its directory holds.

    Args:
        saved: what the directory holds; None where there is no run yet.
        now: what the run depends on.
        plan: the run.

    Raises:
        CheckpointError: something differs and may not; see `tartan.experiment.identity`.
    """
    if saved is None:
        return Comparison()
    before = saved.identity
    if before is None:  # nothing was saved yet, or an older version finished the run
        return Comparison(notices=saved.notices)
    differing = differing_parts(before.parts, now.parts, CONTENT if saved.finished else REFUSED)
    noted = differing_parts(
        before.parts, now.parts, (*NOTED, "device") if saved.finished else NOTED
    )
    names = describe(differing)
    if names and saved.finished:
        raise CheckpointError(
            f"{plan.directory} is complete, and {', '.join(names)} changed since then. Restore "
            "what was there, or choose another run_dir"
        )
    if names and not plan.config.resume_changed:
        shown = [_with_values(name, before, now) for name in names]
        raise CheckpointError(
            f"{plan.directory}: {', '.join(shown)} changed since {saved.source.name} was written. "
            "Restore what was there, choose another run_dir, or set resume_changed=true to resume "
            "with what is there now"
        )
    lines = [
        f"{_with_values(name, before, now)}: the last bits of the results may differ"
        for name in describe(noted)
    ]
    changed = [*names, *describe(noted)]
    values = {name: pair for name in changed if (pair := _values(name, before, now))}
    return Comparison(changed, values, [*saved.notices, *lines])


def read_configuration(directory: Path) -> dict[str, Any] | None:
    """Return the configuration that a directory's run was started with; None where there is none.

    Raises:
        CheckpointError: it cannot be read.
    """
    path = directory / CONFIG
    if not path.is_file():
        return None
    try:
        return dependent(resolved(read_config(path)))
    except ConfigError as error:
        raise CheckpointError(
            f"{path}: {error}. Set it as it was when the run began, or choose another run_dir"
        ) from error


def _sealed(content: Any, path: Path) -> tuple[Identity, list[Change]]:
    """Return what identity.json of a checkpoint holds. CheckpointError if it is something else."""
    known = content if isinstance(content, Mapping) else {}
    identity, changes = parse_identity(known.get("identity"), path), known.get("changes")
    return identity, changes if isinstance(changes, list) else []


def _missing(directory: Path) -> list[str]:
    """Return a notice where the configuration that .hydra/ has of a run is missing or damaged."""
    path = directory / CONFIG
    try:
        if read_configuration(directory) is not None:
            return []
    except CheckpointError:
        return [f"{path} could not be read and was written again"]
    return [f"{path} was missing and was written again"]


def _values(name: str, before: Identity, now: Identity) -> list[Any]:
    """Return the values of a key before and now, of parts that hold values; else nothing."""
    for part in ("configuration", "device", *NOTED):
        pair = [value_at(identity.parts.get(part, {}), name) for identity in (before, now)]
        if pair[0] != pair[1]:
            return pair
    return []


def _with_values(name: str, before: Identity, now: Identity) -> str:
    """Return a name with its values: `threads (1, now 2)`."""
    pair = _values(name, before, now)
    return f"{name} ({pair[0]}, now {pair[1]})" if pair else name
