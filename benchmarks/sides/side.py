"""Side: one implementation of the steps that are measured."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from benchmarks.arithmetic import Work


@dataclass(frozen=True)
class Probed:
    """How a dev gradient was computed, so that another side can compute the same one.

    Attributes:
        probe: the fresh head's weights before it was fitted, by name.
        fitted: [rows] int64, the dev rows it was fitted on.
        graded: [rows] int64, the dev rows the gradient was taken on.
        alignment: [objectives] float, each gradient's cosine with the dev gradient.
    """

    probe: Mapping[str, Tensor]
    fitted: Tensor
    graded: Tensor
    alignment: Tensor


@dataclass(frozen=True)
class Measured:
    """A side's gradient at the first step, without dropout.

    Attributes:
        gradient: of the weighted loss on the body's parameters, by name.
        probed: the dev gradient, where the side takes one.
    """

    gradient: Mapping[str, Tensor]
    probed: Probed | None = None

    def save(self, file: Path) -> None:
        """Write everything as safetensors."""
        tensors = {f"gradient/{name}": value for name, value in self.gradient.items()}
        if self.probed is not None:
            tensors |= {f"probe/{name}": value for name, value in self.probed.probe.items()}
            for name in ("fitted", "graded", "alignment"):
                tensors[name] = getattr(self.probed, name)
        save_file({name: value.detach().contiguous() for name, value in tensors.items()}, file)

    @classmethod
    def load(cls, file: Path) -> Self:
        """Read what `save` wrote."""
        tensors = load_file(file)

        def part(prefix: str) -> dict[str, Tensor]:
            return {
                name.removeprefix(prefix): value
                for name, value in tensors.items()
                if name.startswith(prefix)
            }

        probed = None
        if "alignment" in tensors:
            named = {name: tensors[name] for name in ("fitted", "graded", "alignment")}
            probed = Probed(part("probe/"), **named)
        return cls(part("gradient/"), probed)


class Side(ABC):
    """One implementation of the steps of a setting.

    Attributes:
        device: where it computes.
        precision: `fp32` or `bf16`.
        gradient_bytes: bytes of one copy of the body's gradient.
    """

    device: torch.device
    precision: str
    gradient_bytes: int

    @abstractmethod
    def gradient(self, reference: Measured | None) -> Measured:
        """Return the gradient at the first step, without dropout; change no parameter.

        Args:
            reference: what it will be compared with: a dev gradient is to be taken as that one was.
        """

    @abstractmethod
    def take(self) -> None:
        """Take the next step."""

    @abstractmethod
    def work(self) -> Work:
        """Return the work of the last step."""

    def close(self) -> None:
        """Stop what is still running."""
        return


def body_gradient(body: torch.nn.Module) -> dict[str, Tensor]:
    """Return a body's `.grad` by name, copied to the CPU in float32; zeros if there is none."""
    return {
        name: (torch.zeros_like(p) if p.grad is None else p.grad).detach().float().cpu().clone()
        for name, p in body.named_parameters()
    }
