"""A plain loop on transformers that does what the paper's released code does.

Padded batches; logits for every token; one `torch.autograd.grad` list for each objective; the LM
head runs in the primary's pass too, for the released model is one for language modelling. META fits
its probe by running the whole body ten times, and takes inner products tensor by tensor, each
brought to the host by `.item()`.

Unlike the released code it masks padding in attention, as it could not have tartan's gradient
otherwise; its data come from tartan's streams, so that all sides read the same rows.
"""

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from random import Random

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from benchmarks.arithmetic import Body, Work, gradient_bytes, objectives_work
from benchmarks.experiment import STEPS, experiment, without_dropout
from benchmarks.setting import Setting
from benchmarks.sides.masked_lm import free_body, padded, plain_masked_lm
from benchmarks.sides.side import Measured, Probed, Side, body_gradient
from tartan.batch import Batch, Row
from tartan.objective import PrimaryObjective
from tartan.seeding import generator
from tartan.train.optimiser import Optimiser
from tartan.weighting import ProbeOptions

Gradients = Sequence[Tensor | None]


class Plain(Side):
    """The loop with fixed, equal weights: MT-TARTAN."""

    def __init__(self, setting: Setting) -> None:
        """Copy the run's weights into a plain masked language model."""
        setting = replace(setting, precision=setting.plain_precision)
        built = experiment(setting)
        run = built.setup
        self.gradient_bytes = gradient_bytes(run.model)
        self.device, self.precision = run.runtime.device, run.runtime.precision
        self._run, self._seed, self._taken = run, setting.seed, 0
        self._primary, *self._auxiliary = run.model.names
        self._lm = plain_masked_lm(built, self._auxiliary[0])
        free_body(run.model)
        self._body = Body.of(self._lm.base_model)
        self._task: PrimaryObjective = run.model.end_task
        self._head = self._task.head
        self._pad = built.texts.source.tokenizer.pad_token_id
        heads = [p for p in self._every() if id(p) not in set(map(id, self._shared()))]
        options = next(iter(built.stages.values())).optimizer
        self._optimiser = Optimiser(self._shared(), heads, options, STEPS)

    def gradient(self, reference: Measured | None) -> Measured:
        """Return that of the first step; the dev gradient with the reference's probe and rows."""
        with without_dropout(self._lm, self._head):
            gradients = self._objectives(0)
            probed = self._probed(gradients, reference)
        measured = Measured(body_gradient(self._lm.base_model), probed)
        self._forget()
        return measured

    def take(self) -> None:
        """Take one update."""
        gradients = self._objectives(self._taken)
        self._optimiser.step()
        self._learn(gradients)
        self._forget()
        self._taken += 1

    def work(self) -> Work:
        """Return the work of the objectives' batches."""
        streams = self._run.streams.values()
        return objectives_work(self._body, (stream.rows(self._taken - 1) for stream in streams))

    def weights(self) -> Tensor:
        """Return equal shares, [objectives]."""
        count = len(self._run.model.names)
        return torch.full((count,), 1 / count)

    def _probed(self, gradients: Sequence[Gradients], reference: Measured | None) -> Probed | None:  # noqa: ARG002
        """Return None: there is no dev gradient."""
        return None

    def _learn(self, gradients: Sequence[Gradients]) -> None:
        """Leave the weights unchanged."""

    def _shared(self) -> list[nn.Parameter]:
        """Return the body's parameters."""
        return list(self._lm.base_model.parameters())

    def _every(self) -> list[nn.Parameter]:
        """Return all parameters, the body's first, each once: the decoder may be the embedding."""
        parameters = (*self._shared(), *self._lm.parameters(), *self._head.parameters())
        return list({id(p): p for p in parameters}.values())

    def _forget(self) -> None:
        """Drop every `.grad`."""
        for parameter in self._every():
            parameter.grad = None

    def _objectives(self, step: int) -> list[Gradients]:
        """Return each objective's gradients, and add them to `.grad` by its weight."""
        parameters, gradients = self._every(), list[Gradients]()
        for name, weight in zip(self._run.model.names, self.weights().tolist(), strict=True):
            loss = self._loss(name, step)
            found = torch.autograd.grad(loss, parameters, allow_unused=True)
            for parameter, gradient in zip(parameters, found, strict=True):
                if gradient is not None:
                    if parameter.grad is None:
                        parameter.grad = torch.zeros_like(parameter)
                    parameter.grad.add_(gradient * weight)
            gradients.append(found)
        return gradients

    def _loss(self, name: str, step: int) -> Tensor:
        """Return an objective's mean loss over its batch of a step."""
        rng = generator(self._seed, "collate", name, step)
        rows = self._run.streams[name].rows(step)
        batch = self._run.model.objective(name).collate(rows, rng)
        if name == self._primary:
            return self._classify(self._head, batch)
        with self._precise():
            loss: Tensor = self._lm(**self._read(batch)).loss
        return loss

    def _classify(self, head: nn.Module, batch: Batch, *, probe: bool = False) -> Tensor:
        """Return the mean loss of a head, or of a probe on first hidden states; run the LM head."""
        batch = batch.to(self.device)
        inputs = self._read(batch)
        with self._precise():
            hidden = self._lm(**inputs, output_hidden_states=True).hidden_states[-1]
            outputs = head(hidden[:, 0]) if probe else head(hidden, inputs["attention_mask"])
            return self._task.criterion(outputs, batch) / batch.items

    def _read(self, batch: Batch) -> dict[str, Tensor]:
        """Return a batch, padded, on the device."""
        read = padded(batch, self._pad)
        return {name: value.to(self.device) for name, value in read.items()}

    def _precise(self) -> torch.autocast | nullcontext[None]:
        """Return autocast if the precision is bf16."""
        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)


class PlainMeta(Plain):
    """The loop with weights that follow the dev gradient: META-TARTAN."""

    def __init__(self, setting: Setting) -> None:
        """Start with equal weights."""
        super().__init__(setting)
        self._logits = torch.zeros(len(self._run.model.names))
        self._options = ProbeOptions(fit_batch_size=setting.batch, grad_batch_size=setting.batch)

    def weights(self) -> Tensor:
        """Return the softmax of the logits, [objectives]."""
        return self._logits.softmax(0)

    def work(self) -> Work:
        """Return the work of the method: features once per fit, though the body runs ten times."""
        sizes = self._options.fit_batch_size, self._options.grad_batch_size
        return super().work() + Work(0, self._body.dev_gradient(self._run.probed["dev"], *sizes))

    def _learn(self, gradients: Sequence[Gradients]) -> None:
        """Update the logits by the cosines with a dev gradient taken after the update."""
        options, rows = self._options, list(range(len(self._run.probed["dev"])))
        draw = Random(self._taken).sample
        fitted, graded = (
            draw(rows, min(size, len(rows)))
            for size in (options.fit_batch_size, options.grad_batch_size)
        )
        probe = self._task.probe(options.dropout).to(self.device)
        self._logits += 1e-2 * self._alignment(gradients, probe, fitted, graded)

    def _probed(self, gradients: Sequence[Gradients], reference: Measured | None) -> Probed | None:
        """Return the cosines with the dev gradient of the reference's rows and probe."""
        if reference is None or reference.probed is None:
            return None
        given = reference.probed
        probe = self._task.probe(0.0).to(self.device)
        probe.load_state_dict(given.probe)
        rows = given.fitted.tolist(), given.graded.tolist()
        return replace(given, alignment=self._alignment(gradients, probe, *rows))

    def _alignment(
        self,
        gradients: Sequence[Gradients],
        probe: nn.Module,
        fitted: Iterable[int],
        graded: Iterable[int],
    ) -> Tensor:
        """Return the cosines of body gradients with the dev gradient, [objectives]."""
        self._fit(probe, self._dev_batch(fitted))
        loss = self._classify(probe, self._dev_batch(graded), probe=True)
        dev = torch.autograd.grad(loss, self._shared(), allow_unused=True)
        return torch.tensor([cosine(dev, found[: len(dev)]) for found in gradients])

    def _fit(self, probe: nn.Module, batch: Batch) -> None:
        """Fit a probe, with a pass of the body in every iteration."""
        options, parameters = self._options, list(probe.parameters())
        optimiser = AdamW(parameters, lr=options.lr, weight_decay=options.weight_decay)
        previous = float("inf")
        for _ in range(options.steps):
            loss = self._classify(probe, batch, probe=True)
            gradients = torch.autograd.grad(loss, parameters)
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.grad = gradient
            optimiser.step()
            if abs(previous - loss.item()) < options.tolerance:
                break
            previous = loss.item()

    def _dev_batch(self, places: Iterable[int]) -> Batch:
        """Return collated dev rows."""
        rows: list[Row] = [self._run.probed["dev"][place] for place in places]
        return self._task.collate(rows, torch.Generator())


def cosine(one: Gradients, other: Gradients) -> float:
    """Return the cosine of two lists of gradients, tensor by tensor."""
    pairs = [(a, b) for a, b in zip(one, other, strict=True) if a is not None and b is not None]
    product = sum((a * b).sum().item() for a, b in pairs)
    norms = [sum((t * t).sum().item() for t in each if t is not None) for each in (one, other)]
    scale: float = (norms[0] * norms[1]) ** 0.5
    return product / scale if scale else 0.0
