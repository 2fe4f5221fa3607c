"""An objective on a body, with the calls that a step makes, in the same order."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from tartan.batch import Batch, Loss, Row
from tartan.body import Body
from tartan.context import Context, Encoder
from tartan.objective import Objective, PrimaryObjective
from tartan.packed import Packed
from tartan.seeding import generator, seeded
from tartan.testing.contract import Broken
from tartan.testing.watched import WatchedBody
from tartan.testing.world import World, world
from tartan.train.objective_body import ObjectiveBody

TRIED = 12
"""The number of rows on which a rule tests an objective."""
READ = 200
"""The most rows that are read to find out whether reading them again gives the same."""


@dataclass
class Trial:
    """An objective, its body and its rows, on one device.

    Attributes:
        objective: in evaluation mode, so that dropout leaves losses comparable.
        body: likewise.
        context: what the objective was built from.
        world: where it was built.
        rows: the first of its examples.
        end_task: the end task, if the objective uses it; in evaluation mode.
    """

    objective: Objective
    body: Body
    context: Context
    world: World
    rows: Sequence[Row]
    end_task: PrimaryObjective | None = None

    @classmethod
    def of(cls, objective: type[Objective], options: Any, seed: int = 0) -> "Trial":
        """Build an objective as a run would; the body is the same for every seed."""
        place = world(objective.reads) if issubclass(objective, PrimaryObjective) else world()
        section = "primary" if issubclass(objective, PrimaryObjective) else None
        body = place.body().eval()
        uses_end_task = objective.uses_end_task
        with seeded(seed, "objective", "task"):
            end_task = place.end_task(body, seed) if uses_end_task else None
        context = place.context(body, seed, end_task, section)
        with seeded(seed, "objective"):
            built = objective(options, context).eval()
        examples = built.examples()
        rows = [dict(examples[number]) for number in range(min(TRIED, len(examples)))]
        return cls(built, body, context, place, rows, end_task)

    def read(self) -> list[Row]:
        """Return the examples, the first of them if there are many, read once more."""
        examples = self.objective.examples()
        return [dict(examples[number]) for number in range(min(READ, len(examples)))]

    def collate(self, rows: Sequence[Row] | None = None, number: int = 0) -> Batch:
        """Return the batch of some rows, or of all; `number` seeds its random choices."""
        rng = generator(0, "collate", number)
        return self.objective.collate(self.rows if rows is None else rows, rng)

    def prepare(self, batch: Batch) -> Batch:
        """Return a collated batch, prepared on the body's device."""
        return self.objective.prepare(batch.to(self.body.model.device))

    def loss(self, prepared: Batch, body: Encoder | None = None) -> Loss:
        """Return the loss of a prepared batch; `body` is the trial's unless given."""
        return self.objective.compute(body or WatchedBody(self.body), prepared)

    def step_body(self, number: int = 0) -> Encoder:
        """Return the body as a step calls it for a micro-batch: each pass has its own dropout."""
        return ObjectiveBody(self.body, 0, "dropout", number)

    def gradients(
        self, prepared: Sequence[Batch], body: Encoder | None = None
    ) -> dict[str, Tensor]:
        """Return the gradients of prepared batches' summed losses, by parameter; zeros if none."""
        named = self.parameters()
        losses = [self.loss(batch, body).total for batch in prepared]
        found = torch.autograd.grad(
            torch.stack(losses).sum(),
            list(named.values()),
            allow_unused=True,
            retain_graph=True,  # `prepare` may have made a part of it that another call needs
        )
        return {
            name: torch.zeros_like(parameter) if gradient is None else gradient
            for (name, parameter), gradient in zip(named.items(), found, strict=True)
        }

    def pad(self) -> None:
        """Let the body read padded sequences from now on, as some families do."""
        self.body.model.set_attn_implementation("eager")
        self.body.padded_because = "the contract tests it"

    def draws(self) -> bool:
        """Return whether `collate` makes random choices."""
        rng = generator(0, "collate", 0)
        before = rng.get_state()
        self.objective.collate(self.rows, rng)
        return not torch.equal(before, rng.get_state())

    def train(self) -> None:
        """Train for a few steps, so that parameters and buffers change."""
        self.mode(training=True)
        optimiser = torch.optim.SGD(self.parameters().values(), lr=1e-3)
        for number in range(2):
            optimiser.zero_grad()
            with seeded(0, "dropout", number):
                batch = self.prepare(self.collate(number=number))
                self.loss(batch, self.step_body(number)).total.backward()
            optimiser.step()
        self.mode(training=False)

    @property
    def modules(self) -> dict[str, nn.Module]:
        """The modules that a step trains, by the prefix of their parameters' names."""
        modules: dict[str, nn.Module] = {"body.": self.body}
        if self.end_task is not None:
            modules["end_task."] = self.end_task
        return {**modules, "": self.objective}

    def mode(self, *, training: bool) -> None:
        """Set all modules to training or evaluation mode."""
        for module in self.modules.values():
            module.train(training)

    def to(self, device: torch.device) -> None:
        """Move all modules to a device."""
        for module in self.modules.values():
            module.to(device)

    def parameters(self) -> dict[str, Tensor]:
        """Return the parameters that train, each once, by name."""
        found: dict[str, Tensor] = {}
        seen: set[int] = set()
        for prefix, module in self.modules.items():
            new = {n: p for n, p in module.named_parameters() if id(p) not in seen}
            seen |= {id(p) for p in new.values()}
            found |= {f"{prefix}{n}": p for n, p in new.items() if p.requires_grad}
        return found

    def frozen(self) -> dict[str, Tensor]:
        """Return copies of the parameters that do not train, by name."""
        return {
            f"{prefix}{name}": parameter.detach().clone()
            for prefix, module in self.modules.items()
            for name, parameter in module.named_parameters()
            if not parameter.requires_grad
        }

    def own_parameters(self) -> dict[str, Tensor]:
        """Return the objective's own parameters that train, by name."""
        others = {id(p) for prefix, m in self.modules.items() if prefix for p in m.parameters()}
        return {n: p for n, p in self.parameters().items() if id(p) not in others}


def join(batches: Sequence[Batch]) -> Batch:
    """Concatenate prepared batches as `Batch` documents.

    Random choices are made in `collate` and `prepare`: a batch and its micro-batches, collated
    separately, would have different masks. Concatenated micro-batches have the same.
    """
    first = batches[0]
    inputs = [batch.inputs for batch in batches]
    joined = Packed.join(inputs)
    sizes = torch.tensor([0, *(each.input_ids.numel() for each in inputs)])
    offsets = sizes.cumsum(0).tolist()
    targets = {
        name: _joined(
            name,
            [batch.targets[name] for batch in batches],
            offsets if name in first.token_indices else None,
        )
        for name in first.targets
    }
    return replace(
        first, inputs=joined, items=sum(batch.items for batch in batches), targets=targets
    )


def divided(trial: Trial) -> tuple[Batch, list[Batch]]:
    """Return the prepared batch of a trial's rows, and its micro-batches of three rows each."""
    parts = [
        trial.prepare(trial.collate(trial.rows[start : start + 3], start))
        for start in range(0, len(trial.rows), 3)
    ]
    return (join(parts) if trial.draws() else trial.prepare(trial.collate())), parts


def declare_token_indices(batch: Batch) -> str:
    """Return advice to declare targets that may be token indices; empty if there are none."""
    suspects = tuple(
        name
        for name, target in batch.targets.items()
        if target.ndim and target.dtype == torch.int64 and name not in batch.token_indices
    )
    if not suspects:
        return ""
    declared = (*batch.token_indices, *suspects)
    return (
        f"; if {', '.join(suspects)} hold indices of tokens, declare them: "
        f"Batch(..., token_indices={declared})"
    )


def _joined(name: str, parts: Sequence[Tensor], offsets: Sequence[int] | None) -> Tensor:
    """Concatenate a target of several batches; token indices are shifted by offsets."""
    if parts[0].ndim == 0:
        return torch.stack(list(parts)).sum(0)
    if offsets is not None:
        parts = [part + offset for part, offset in zip(parts, offsets, strict=False)]
    try:
        return torch.cat(list(parts))
    except RuntimeError as error:
        raise Broken(
            f"its batches cannot be concatenated as Batch.targets requires: {name}: {error}"
        ) from error
