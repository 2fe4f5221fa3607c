"""Hugging Face's Trainer on masked language modelling alone, at its own best settings."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    DataCollatorForLanguageModeling,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from benchmarks.arithmetic import Body, Work, gradient_bytes
from benchmarks.experiment import STEPS, experiment, without_dropout
from benchmarks.setting import Setting
from benchmarks.sides.callbacks import KeepGradient, Pace
from benchmarks.sides.masked_lm import free_body, padded, plain_masked_lm
from benchmarks.sides.side import Measured, Side
from tartan.body.reading import first_position
from tartan.seeding import generator

Collate = Callable[[Sequence[Mapping[str, Any]]], dict[str, Tensor]]


class TrainerSide(Side):
    """`Trainer.train` with `DataCollatorForLanguageModeling`.

    Rows of like length share a batch, the optimiser is fused, nothing is logged or saved.
    """

    def __init__(self, setting: Setting) -> None:
        """Copy the run's weights and texts."""
        built = experiment(setting)
        run = built.setup
        (name,) = (name for name in run.model.names if name != run.model.primary)
        self.gradient_bytes = gradient_bytes(run.model)
        self.device, self.precision = run.runtime.device, run.runtime.precision
        self._setting, self._tokenizer = setting, built.texts.source.tokenizer
        self._model = plain_masked_lm(built, name)
        free_body(run.model)
        self._body = Body.of(self._model.base_model)
        objective = run.model.objective(name)
        rows: Any = objective.examples()
        self._rows = rows.add_column("length", [len(row["input_ids"]) for row in rows])
        self._first = objective.collate(
            run.streams[name].rows(0), generator(setting.seed, "collate", name, 0)
        )
        self._options = next(iter(built.stages.values())).optimizer
        self._pace = Pace()
        self._thread: Thread | None = None

    def gradient(self, reference: Measured | None) -> Measured:  # noqa: ARG002
        """Return the gradient before the first step of `train`, on tartan's first batch."""
        keep, model = KeepGradient(), deepcopy(self._model)
        with without_dropout(model), TemporaryDirectory() as directory:
            trainer = self._trainer(model, directory, keep, self._collate_first, steps=1, clip=0.0)
            trainer.train()
        return Measured(keep.gradient)

    def take(self) -> None:
        """Make `train` take one more step."""
        if self._thread is None:
            self._thread = Thread(target=self._train, daemon=True)
            self._thread.start()
        self._pace.step()

    def work(self) -> Work:
        """Return the work of the last batch."""
        lengths = self._pace.mask.sum(1).tolist()
        return Work(sum(lengths), self._body.training(lengths))

    def close(self) -> None:
        """End `train`."""
        if self._thread is not None:
            self._pace.stop()
            self._thread.join()

    def _train(self) -> None:
        """Train until `close`; `take` raises the exceptions."""
        collate = DataCollatorForLanguageModeling(
            self._tokenizer,
            mlm_probability=0.15,
            pad_to_multiple_of=8 if self.device.type == "cuda" else None,
        )
        try:
            with TemporaryDirectory() as directory:
                self._trainer(
                    self._model, directory, self._pace, self._noting(collate), steps=10**6
                ).train()
        except BaseException as error:
            self._pace.fail(error)

    def _noting(self, collate: Any) -> Collate:
        """Return a collator that notes the padding: batches are fetched in training order."""

        def noted(rows: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
            kept = [{"input_ids": row["input_ids"]} for row in rows]
            batch: dict[str, Tensor] = collate(kept)
            self._pace.masks.put(batch["attention_mask"])
            return batch

        return noted

    def _collate_first(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:  # noqa: ARG002
        """Return tartan's first batch, whatever the rows.

        RoBERTa's class would count no position for a masked token that became a padding token.
        """
        batch = padded(self._first, self._tokenizer.pad_token_id)
        count, longest = batch["input_ids"].shape
        first = first_position(self._model.base_model)
        # Repeated, not expanded: the loader pins it, which an expanded tensor refuses.
        batch["position_ids"] = (first + torch.arange(longest)).repeat(count, 1)
        return batch

    def _trainer(
        self,
        model: nn.Module,
        directory: str,
        callback: TrainerCallback,
        collate: Collate,
        *,
        steps: int,
        clip: float | None = None,
    ) -> Trainer:
        """Return a Trainer at its best settings for the precision."""
        options = self._options
        arguments = TrainingArguments(
            output_dir=directory,
            per_device_train_batch_size=self._setting.batch,
            max_steps=steps,
            learning_rate=options.body_lr,
            warmup_steps=round(options.warmup * STEPS),
            weight_decay=options.body_weight_decay,
            adam_beta1=options.beta1,
            adam_beta2=options.beta2,
            adam_epsilon=options.eps,
            max_grad_norm=options.clip if clip is None else clip,
            optim="adamw_torch_fused",
            bf16=self.precision == "bf16",
            use_cpu=self.device.type == "cpu",
            seed=self._setting.seed,
            logging_strategy="no",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            remove_unused_columns=False,
            dataloader_pin_memory=self.device.type == "cuda",
            **grouped_by_length(),
        )
        trainer = Trainer(
            model, arguments, data_collator=collate, train_dataset=self._rows, callbacks=[callback]
        )
        trainer.remove_callback(PrinterCallback)
        return trainer


def grouped_by_length() -> dict[str, Any]:
    """Return the option of this version of transformers for batches of rows of similar length."""
    known = {field.name for field in dataclasses.fields(TrainingArguments)}
    if "train_sampling_strategy" in known:
        return {"train_sampling_strategy": "group_by_length"}
    return {"group_by_length": True}
