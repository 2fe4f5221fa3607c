"""The classes of a checkpoint's head, matched with the run's by name.

Each row of the last layer belongs to a class, which the checkpoint's `id2label` names. The run's
classes have an order of their own, so rows taken over by position would predict other classes.
"""

import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

import torch
from transformers import PretrainedConfig

from tartan.body.heads import LiftedHead
from tartan.body.last_layer import initialise, reorder
from tartan.errors import ModelError, shown
from tartan.spelling import spelled

GENERIC = re.compile(r"LABEL_(\d+)")
"""How transformers names a class that has no name."""

FRESH = "the head's last layer starts from new weights"
NUMBER = (
    "the checkpoint's head predicts a number, which is taken to be in the unit of these labels: if "
    "it was trained on numbers in another unit, start from a checkpoint without a head"
)


def match_classes(
    head: LiftedHead, config: PretrainedConfig, labels: Sequence[str], mismatched: AbstractSet[str]
) -> str | None:
    """Order a checkpoint's head by the run's classes, or give its last layer new weights.

    Rows stay where the names are the same, `LABEL_3` being the class `3`. They are reordered where
    the same names have another order, and new where the names differ. A single output is a number:
    it is kept, whatever its name.

    Args:
        head: a head on classes, tags or a number.
        config: the checkpoint's configuration.
        labels: the run's classes, in the order of their ids.
        mismatched: names of parameters that the checkpoint holds in another shape.

    Returns:
        A notice for the user; None where the checkpoint has no such head, or it fits as it is.

    Raises:
        ModelError: the head has to be reordered, and its last layer cannot be found.
    """
    names = [str(name) for _, name in sorted((config.id2label or {}).items())]
    if not mismatched.isdisjoint(head.new_parameters):
        return f"the checkpoint's head has {_listed(names)}, not {_listed(labels)}: {FRESH}"
    layer = head.last_layer()
    known = [_canonical(name) for name in names]
    wanted = [_canonical(label) for label in labels]
    kept = layer is not None and not head.is_new(layer)
    if len(labels) == 1 or known == wanted or (layer and not kept):
        return NUMBER if kept and len(labels) == 1 else None
    if layer is None:
        if len(head.new_parameters) == len(list(head.parameters())):
            return None
        raise ModelError(
            f"{type(head.model).__name__} of the checkpoint has {_listed(names)}, not "
            f"{_listed(labels)}, and no last linear layer that could be reordered: choose a "
            "checkpoint without a head"
        )
    if len(set(known)) == len(known) and sorted(known) == sorted(wanted):
        reorder(layer, [known.index(name) for name in wanted])
        return "the checkpoint's head has the same classes in another order: matched by name"
    with torch.random.fork_rng(devices=[]):
        initialise(head.model, layer)
    head.mark_new(layer)
    if all(map(GENERIC.fullmatch, names)):
        return (
            f"the checkpoint's head has classes without names ({names[0]} to {names[-1]}): {FRESH}"
            "; name the classes in id2label of its config.json to keep the trained ones"
        )
    return f"the checkpoint's head has {_listed(names)}, not {_listed(labels)}: {FRESH}"


def _canonical(name: str) -> str:
    """Return the id in a generic name, or the name itself."""
    generic = GENERIC.fullmatch(name)
    return generic[1] if generic else name


def _listed(names: Sequence[str]) -> str:
    """Return up to three names and how many there are."""
    more = ", ..." if len(names) > 3 else ""
    first = ", ".join(shown(spelled(name)) for name in names[:3])
    return f"{len(names)} classes ({first}{more})"
