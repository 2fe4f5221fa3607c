"""Every side by name: what it is, its reference, and how it is run."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pkgutil import resolve_name
from types import MappingProxyType

from benchmarks.setting import Setting
from benchmarks.sides.side import Measured, Probed, Side
from tartan.errors import ConfigError, suggest

KEPT = MappingProxyType(
    {
        "MALLOC_MMAP_MAX_": "0",
        "MALLOC_TRIM_THRESHOLD_": str(1 << 40),
        "MALLOC_TOP_PAD_": str(256 << 20),
    }
)
"""The environment in which glibc's malloc keeps what was freed: fewer page faults, more memory."""

DEFAULT = MappingProxyType({"MALLOC_PERTURB_": "0"})
"""One in which it does as it does by default: tartan, whose code builds every side, leaves malloc
alone where the environment says anything of it, and this says nothing."""


@dataclass(frozen=True)
class Entry:
    """One side of the benchmark.

    Attributes:
        what: in a few words.
        place: of what builds it from a `Setting`: a module of this package, and its name there.
        reference: the side whose gradient it has to have, before it is timed.
        steps: of a turn; a turn's seconds are means over them.
        environment: variables of its process.
    """

    what: str
    place: str
    reference: str | None = None
    steps: int = 1
    environment: Mapping[str, str] = field(default_factory=dict)

    def make(self, setting: Setting) -> Side:
        """Build it. It is imported here: TorchJD and accelerate are for development only."""
        made: Side = resolve_name(f"{__name__}.{self.place}")(setting)
        return made


_META = "tartan-meta"
_PLAIN = "plain loop, fixed weights"
_PLAIN_META = "plain loop, META"
_TRAINER = "Hugging Face Trainer, mlm alone"
SIDES: Mapping[str, Entry] = MappingProxyType(
    {
        "tartan-static": Entry("tartan, static", "tartan:static", _META, steps=4),
        _META: Entry("tartan, meta", "tartan:meta", steps=4),
        "tartan-meta-every-4": Entry(
            "tartan, meta, every=4", "tartan:meta_every_4", _META, steps=4
        ),
        "plain-static": Entry(_PLAIN, "plain:Plain", _META, environment=DEFAULT),
        "plain-meta": Entry(_PLAIN_META, "plain:PlainMeta", _META, environment=DEFAULT),
        "plain-static-kept": Entry(
            f"{_PLAIN}; malloc keeps memory", "plain:Plain", _META, environment=KEPT
        ),
        "plain-meta-kept": Entry(
            f"{_PLAIN_META}; malloc keeps memory", "plain:PlainMeta", _META, environment=KEPT
        ),
        "tartan-mlm": Entry("tartan, mlm alone", "tartan:mlm", steps=4),
        "trainer-mlm": Entry(_TRAINER, "trainer:TrainerSide", "tartan-mlm", 4, DEFAULT),
        "trainer-mlm-kept": Entry(
            f"{_TRAINER}; malloc keeps memory", "trainer:TrainerSide", "tartan-mlm", 4, KEPT
        ),
        "tartan-static-n": Entry("tartan, static, n objectives", "tartan:static_n"),
        "tartan-meta-n": Entry("tartan, meta, n objectives", "tartan:meta_n", "tartan-static-n"),
        "tartan-gramian": Entry("tartan, Gramian of n objectives", "torchjd:TartanGramian"),
        "torchjd-gramian": Entry(
            "TorchJD, mtl_backward of n objectives", "torchjd:TorchJD", "tartan-gramian"
        ),
    }
)
"""By name."""

GROUPS: Mapping[str, Sequence[str]] = MappingProxyType(
    {
        "joint": (
            "tartan-static",
            "tartan-meta",
            "tartan-meta-every-4",
            "plain-static",
            "plain-meta",
        ),
        "kept": ("tartan-static", "tartan-meta", "plain-static-kept", "plain-meta-kept"),
        "mlm": ("tartan-mlm", "trainer-mlm"),
        "mlm-kept": ("tartan-mlm", "trainer-mlm-kept"),
        "gramian": ("tartan-static-n", "tartan-meta-n", "tartan-gramian", "torchjd-gramian"),
    }
)
"""Sides of a group take turns; ratios are reported within it. No more live at once than one's."""


def needs_processes(group: str) -> bool:
    """Return whether a group has sides that differ by their process's environment."""
    return any(SIDES[name].environment is KEPT for name in GROUPS[group])


def members(group: str, left_out: Collection[str] = ()) -> list[str]:
    """Return a group's sides without those left out, in the order of their turns.

    Raises:
        ConfigError: one that is left out does not exist, or is the reference of another.
    """
    for name in left_out:
        if name not in SIDES:
            raise ConfigError(f"--leave-out {name}: {suggest(name, SIDES)}")
    names = [name for name in GROUPS[group] if name not in left_out]
    for name in names:
        if (reference := SIDES[name].reference) in left_out:
            raise ConfigError(
                f"--leave-out {reference}: {name} is compared with it; leave that out, too"
            )
    return names


__all__ = [
    "DEFAULT",
    "GROUPS",
    "KEPT",
    "SIDES",
    "Entry",
    "Measured",
    "Probed",
    "Side",
    "members",
    "needs_processes",
]
