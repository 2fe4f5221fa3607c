"""What a run depends on: one definition, stored in every checkpoint and in summary.json.

A run's `Identity` has the parts below. Each maps names to values or SHA-256 hashes, and `digest`
is one hash of all of them. Two runs with the same digest have the same results, and on a CPU the
same bits.

| part          | holds                                                   | where it differs    |
|---------------|---------------------------------------------------------|---------------------|
| configuration | every key, the seed included, except those in `FREE`    | refused             |
| data          | content of each split, corpus and auxiliary data        | refused             |
| tokenizer     | vocabulary, normalisation, special tokens, length       | refused             |
| model         | config.json, weights and code of pretrained models      | refused             |
| plugins       | distribution, version and source code of each plugin    | refused             |
| device        | kind of device, precision                               | refused on resuming |
| environment   | versions, tartan's code, hub commits, hardware, threads | reported            |

It is compared where a run resumes, where a finished run is started again, and in a study:

* A run that resumes is refused where a part says so, unless `resume_changed=true`. A checkpoint of
  another run is refused too: a run has an identifier, which is random and not part of the digest.
  What changed at which step, reported parts included, is kept in checkpoints and summary.json.
* A finished run is refused, as its scores belong to other data, another model or other code. Its
  device may differ, as nothing is computed.
* A study refuses finished runs whose data, tokenizer, model or plugins differ from what its arms
  read now, and its notes name every part but the configuration in which runs differ: content as out
  of date, unless the sections of the configuration that decide it (`deciding`) differ too.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from tartan.config.schema import Config
from tartan.data.tokenizing import token_state
from tartan.errors import CheckpointError
from tartan.experiment.build import Experiment
from tartan.experiment.environment import environment
from tartan.experiment.model_files import model_hashes, revisions
from tartan.experiment.plugin_code import plugin_hashes
from tartan.experiment.sections import sections_of
from tartan.plugins import Plugins

FREE = (
    "run_dir", "resume", "resume_changed", "cache", "tracker", "report", "report_examples",
    "checkpoint.every", "checkpoint.keep", "export", "push_to_hub", "hub_model_id",
    "hub_private_repo", "sharded", "sharded_optimizer",
)  # fmt: skip
"""Keys that say where a run is, how often it is saved, how it is shown, where its model goes and
what its processes divide: results do not depend on them, and a run that resumes may have others."""
ORDERED = ("objectives", "schedule.stages")
"""Keys of maps whose order counts: parameters, weights and dropout follow that of objectives."""
ORDER = " (order)"
"""End of the name of what differs where the order of such a map does."""
AUXILIARY = "objectives."
"""Beginning of the keys of `data` that are an auxiliary objective's own data."""
CONTENT = ("data", "tokenizer", "model", "plugins")
"""Parts that are hashes of what a run reads and executes; a study's runs share them."""
DECIDING: Mapping[str, tuple[str, ...]] = {
    "data": ("data", "primary"), "tokenizer": ("data", "model"), "model": ("model", "objectives"),
}  # fmt: skip
"""Sections of the configuration that decide what the parts of `CONTENT` hold; no section decides
plugins. A tokenizer may be trained on the data, and an objective may have a model of its own."""
REFUSED = ("configuration", *CONTENT, "device")
"""Parts that have to be the same where a run resumes."""
NOTED = ("environment",)
"""Parts that may differ; results may then differ in the last bits."""

Part = Mapping[str, Any]


@dataclass(frozen=True)
class Identity:
    """What a run depends on.

    Attributes:
        run: identifier of the run, chosen at random when it began.
        parts: `configuration` and the other parts of the module's table, by name.
    """

    run: str
    parts: Mapping[str, Part]

    @property
    def digest(self) -> str:
        """The SHA-256 of all parts, in hexadecimal."""
        configuration = self.parts.get("configuration", {})
        return hashed([self.parts, [[*(value_at(configuration, key) or ())] for key in ORDERED]])

    def plain(self) -> dict[str, Any]:
        """Return what JSON files hold of it."""
        return {"run": self.run, "digest": self.digest, "parts": dict(self.parts)}


def identify(
    config: Config,
    values: Mapping[str, Any],
    experiment: Experiment,
    plugins: Plugins,
) -> Identity:
    """Return what a run that was built depends on.

    Args:
        config: the run's.
        values: the composed configuration, interpolations resolved.
        experiment: what was built from it.
        plugins: the installed plugins.
    """
    runtime, ranks = experiment.setup.runtime, experiment.setup.ranks
    found: dict[str, Part] = {
        "configuration": dependent(values),
        **contents(config, experiment, plugins),
        "device": {"device": runtime.device.type, "precision": runtime.precision},
        "environment": {
            **environment(runtime.device),
            **revisions(experiment.setup.model),
            "processes": str(ranks.size)
            + (" sharded" if config.sharded and ranks.size > 1 else ""),
        },
    }
    return Identity(uuid4().hex, found)


def contents(config: Config, experiment: Experiment, plugins: Plugins) -> dict[str, Part]:
    """Return the parts of `CONTENT`: hashes of data, tokenizer, model and plugins."""
    model = experiment.setup.model
    return {
        "data": _data(experiment),
        "tokenizer": {"tokenizer": hashed(token_state(experiment.texts.source.tokenizer))},
        "model": model_hashes(model),
        "plugins": plugin_hashes(
            _objectives(config, model.names), _weightings(experiment), plugins
        ),
    }


def differing_parts(
    before: Mapping[str, Part], now: Mapping[str, Part], parts: Iterable[str] = REFUSED
) -> dict[str, list[str]]:
    """Return, by part, the keys at which two identities differ; parts that agree are left out.

    Args:
        before: the parts of one.
        now: the parts of the other.
        parts: which to compare.
    """
    found = {
        part: sorted(differing_keys(before.get(part, {}), now.get(part, {}))) for part in parts
    }
    return {part: keys for part, keys in found.items() if keys}


def deciding(part: str, key: str) -> tuple[str, ...]:
    """Return the sections of the configuration that decide the content of a key of a part.

    >>> deciding("data", "train"), deciding("data", "objectives.topics"), deciding("plugins", "mlm")
    (('data', 'primary'), ('objectives',), ())
    """
    if part == "data" and key.startswith(AUXILIARY):
        return ("objectives",)
    return DECIDING.get(part, ())


def parse_identity(content: Any, path: Path) -> Identity:
    """Return an identity from what a JSON file holds.

    Args:
        content: what `Identity.plain` returned.
        path: the file, for the error.

    Raises:
        CheckpointError: it is something else.
    """
    try:
        parts = {str(name): dict(part) for name, part in content["parts"].items()}
        return Identity(str(content["run"]), parts)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path} has no valid record of what its run depends on. Restore it, or choose another "
            "run_dir to start over"
        ) from error


def dependent(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration without the keys of `FREE`, as JSON files hold it.

    JSON has no keys but strings: those of `class_weights={1: 5, 0: 1}` are numbers in memory alone.
    """
    kept = {
        name: _without(value, f"{name}.") if isinstance(value, Mapping) else value
        for name, value in values.items()
        if name not in FREE
    }
    stored: dict[str, Any] = json.loads(json.dumps(kept, default=str))
    return stored


def differing_keys(one: Any, other: Any, key: str = "") -> list[str]:
    """Return the dotted keys at which two nested maps differ.

    >>> differing_keys({"objectives": {"a": 1, "b": 2}}, {"objectives": {"b": 2, "a": 1}})
    ['objectives (order)']
    """
    if not (isinstance(one, Mapping) and isinstance(other, Mapping)):
        return [] if one == other else [key]
    reordered = key in ORDERED and {*one} == {*other} and [*one] != [*other]
    return [f"{key}{ORDER}"] * reordered + [
        found
        for name in {*one, *other}
        for found in differing_keys(
            one.get(name), other.get(name), f"{key}.{name}" if key else str(name)
        )
    ]


def value_at(part: Part, key: str) -> Any:
    """Return the value at a dotted key; None where there is none. Of an order, the names."""
    if key.endswith(ORDER):
        return [*(value_at(part, key.removesuffix(ORDER)) or ())]
    if key in part:
        return part[key]
    found: Any = part
    for name in key.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def describe(differing: Mapping[str, Sequence[str]]) -> list[str]:
    """Return names for what differs: `steps`, `data (train)`, `plugin (mlm)`, `threads`.

    >>> describe({"configuration": ["steps"], "data": ["dev", "train"], "tokenizer": ["tokenizer"]})
    ['steps', 'data (dev)', 'data (train)', 'tokenizer']
    """
    forms = {"data": "data ({})", "model": "model ({})", "plugins": "plugin ({})"}
    return [forms.get(part, "{}").format(key) for part, keys in differing.items() for key in keys]


def hashed(content: Any) -> str:
    """Return the SHA-256, in hexadecimal, of plain values."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _data(experiment: Experiment) -> dict[str, str]:
    """Return the hash of each split, corpus and auxiliary data."""
    auxiliary = {
        f"{AUXILIARY}{name}": texts.task.hashes["train"]
        for name, texts in experiment.auxiliary.items()
    }
    return dict(experiment.task.hashes) | auxiliary


def _objectives(config: Config, names: Collection[str]) -> set[str]:
    """Return the plugins of objectives that train."""
    return {section.plugin for section in sections_of(config) if section.name in names}


def _weightings(experiment: Experiment) -> set[str]:
    """Return the plugins of the stages' weightings."""
    return {str(plan.weighting["plugin"]) for plan in experiment.stages.values()}


def _without(values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Return a section of a configuration without the keys of `FREE`."""
    return {name: value for name, value in values.items() if f"{prefix}{name}" not in FREE}
