"""The contract of objectives."""

import pickle
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import torch
from safetensors.torch import load_model, save_model

from tartan.body import Body
from tartan.errors import TartanError
from tartan.objective import Objective, PrimaryObjective
from tartan.plugins import discover
from tartan.seeding import seeded
from tartan.testing.compare import (
    changes,
    copies,
    first_difference,
    random_states,
    require_close,
    same,
    tensors,
)
from tartan.testing.contract import Broken, Contract, NotApplicable, require
from tartan.testing.device_rule import (
    accelerator,
    computes_alike,
    computes_alike_on_fake_device,
)
from tartan.testing.end_task_rules import (
    require_family_head,
    require_probe,
    require_scores,
    require_sums,
    sums,
)
from tartan.testing.host import no_host_sync
from tartan.testing.reach import HeldOut, reachable
from tartan.testing.trial import Trial, declare_token_indices, divided, join
from tartan.testing.watched import WatchedBody

CLOSE = 3e-5
"""The largest difference of gradients, as a share of their largest entry. A loss of the difference
of two predictions cancels digits: `vat` differs by 1.2e-5 from rounding alone."""


class ObjectiveContract(Contract):
    """The rules for an objective, by its plugin's name or by its class.

    >>> class TestMine(ObjectiveContract):
    ...     plugin = "mine"
    ...     options = {"mask_prob": 0.3}

    Attributes:
        objective: the class, where it is not that of an installed plugin.
    """

    objective: ClassVar[type[Objective] | None] = None

    @classmethod
    def kind(cls) -> str:
        """Return `objective`."""
        return "objective"

    @classmethod
    def plugin_class(cls) -> type[Objective]:
        """Return the objective to test. PluginError if no plugin has the name."""
        return cls.objective or discover().objective(cls.plugin)

    def trial(self, seed: int = 0) -> Trial:
        """Return the objective, built for the tiny task. Broken if it cannot be built."""
        missing = [name for name in self.plugin_class().required if name not in self.options]
        if missing:
            raise NotApplicable(
                f"it has to be given {', '.join(missing)}: subclass ObjectiveContract and set "
                "`options`"
            )
        try:
            return Trial.of(self.plugin_class(), self.parsed(), seed)
        except TartanError as error:
            raise Broken(
                f"it cannot be built for the tiny task of tartan.testing ({error}): subclass "
                "ObjectiveContract and set `options` that work there"
            ) from error

    def test_the_same_seed_gives_the_same_batch_and_loss(self) -> None:
        """Batches and losses are a function of the seed: the same seed gives the same loss."""
        trial = self.trial()
        trial.mode(training=True)
        one, other = trial.collate(), trial.collate()
        require(same(one, other), "collate returns two different batches for one seed")
        losses = []
        for batch in (one, other):
            with seeded(0, "dropout"):
                losses.append(trial.loss(trial.prepare(batch), trial.step_body()).total.item())
        require(losses[0] == losses[1], f"two losses of one seed are {losses[0]} and {losses[1]}")
        epoch = trial.read()
        for found, when in ((trial, "is read again"), (self.trial(), "is read after a restart")):
            number = first_difference(epoch, found.read())
            require(number is None, f"examples()[{number}] is another row when it {when}")

    def test_the_global_random_state_is_left_alone(self) -> None:
        """Only dropout uses the global random generators of Python, NumPy and torch."""
        trial = self.trial()
        passes: dict[str, Callable[[Any], Any]] = {
            "examples()[i]": lambda _: trial.read(),
            "collate": lambda _: trial.collate(),
            "prepare": trial.prepare,
            "loss": trial.loss,
        }
        made: Any = None
        for name, take in passes.items():
            before = random_states()
            made = take(made)
            after = random_states()
            moved = [library for library in before if before[library] != after[library]]
            require(not moved, f"{name} uses the global generator of {', '.join(moved)}")

    def test_the_gradient_reaches_the_body(self) -> None:
        """The body is trained: its hidden states get a gradient."""
        trial = self.trial()
        batch = trial.prepare(trial.collate())
        body = WatchedBody(trial.body)
        total = trial.loss(batch, body).total
        # Not the body's parameters: a head that uses one of them gives it a gradient, too.
        outputs = [hidden for hidden in body.outputs if hidden.requires_grad]
        gradients = torch.autograd.grad(total, outputs, allow_unused=True) if outputs else ()
        reached = any(gradient is not None and gradient.any() for gradient in gradients)
        require(reached, "the gradient of the hidden states is zero")

    def test_the_gradient_reaches_every_parameter_of_the_head(self) -> None:
        """Every parameter of the objective is trained."""
        trial = self.trial()
        batches = [trial.prepare(trial.collate(number=number)) for number in range(3)]
        gradients = trial.gradients(batches)
        missed = [name for name in trial.own_parameters() if not gradients[name].any()]
        require(not missed, f"the gradient of {', '.join(missed)} is zero")

    def test_inputs_are_left_as_they_were(self) -> None:
        """Its arguments (rows, batches, hidden states) are not modified."""
        trial = self.trial()
        given = deepcopy(trial.rows)
        batch = trial.collate(given)
        require(given == trial.rows, "collate modifies its rows")
        before = copies(tensors(batch))
        prepared = trial.prepare(batch)
        changed = changes(before, tensors(batch))
        require(not changed, f"prepare modifies {', '.join(changed)} of its batch")
        before, body = copies(tensors(prepared)), WatchedBody(trial.body)
        trial.loss(prepared, body)
        changed = changes(before, tensors(prepared))
        if any(not torch.equal(*pair) for pair in zip(body.outputs, body.given, strict=True)):
            changed.append("hidden")
        require(not changed, f"the loss modifies {', '.join(changed)}")

    def test_a_batch_is_the_sum_of_its_micro_batches(self) -> None:
        """The loss is a sum over items: splitting a batch into micro-batches keeps its gradient."""
        if not self.plugin_class().separable:
            raise NotApplicable("its rows interact in the loss: it declares separable = False")
        trial = self.trial()
        complete, parts = divided(trial)
        items = sum(part.items for part in parts)
        require(
            complete.items == items,
            f"a batch has {complete.items} items, its micro-batches have {items}",
        )
        require_close(
            "split into micro-batches",
            trial.gradients([complete]),
            trial.gradients(parts),
            CLOSE,
            declare_token_indices(complete),
        )

    def test_the_order_of_sequences_does_not_matter(self) -> None:
        """The gradient does not depend on the order of a batch's sequences."""
        trial = self.trial()
        rows = trial.rows
        if not trial.draws():
            one, other = (trial.prepare(trial.collate(order)) for order in (rows, rows[::-1]))
        elif self.plugin_class().separable:
            parts = [trial.prepare(trial.collate([row], n)) for n, row in enumerate(rows)]
            one, other = join(parts), join(parts[::-1])
        else:
            raise NotApplicable("its rows interact in the loss, and each batch has its own masks")
        require_close(
            "with its sequences in reverse order",
            trial.gradients([one]),
            trial.gradients([other]),
            CLOSE,
        )

    def test_packed_and_padded_bodies_agree(self) -> None:
        """The gradient does not depend on whether the body reads packed or padded sequences."""
        trial = self.trial()
        batch = trial.prepare(trial.collate())
        packed = trial.gradients([batch])
        trial.pad()
        require_close("with a body that pads", packed, trial.gradients([batch]), CLOSE)

    def test_only_wanted_hidden_states_are_read(self) -> None:
        """If its batches declare `wanted` hidden states, it reads no others."""
        trial = self.trial()
        batch = trial.prepare(trial.collate())
        complete, spoiled = WatchedBody(trial.body), WatchedBody(trial.body, spoil=True)
        losses = [trial.loss(batch, body).total.item() for body in (complete, spoiled)]
        wanted = [packed.wanted for packed in complete.read if packed.wanted is not None]
        if not wanted:
            raise NotApplicable("its batches declare no `wanted` hidden states")
        require(
            all(w.unique().numel() == w.numel() for w in wanted),
            "`wanted` has a token more than once",
        )
        require(
            losses[0] == losses[1],
            f"the loss is {losses[0]}, but {losses[1]} without the other tokens' hidden states",
        )
        if isinstance(trial.objective, PrimaryObjective):
            states = (complete.outputs[0], spoiled.outputs[0])
            features = [trial.objective.features(hidden, batch) for hidden in states]
            require(torch.equal(*features), "its features depend on other tokens' hidden states")

    def test_it_is_finite_under_bf16_autocast(self) -> None:
        """Loss and gradients are finite under bfloat16 autocast."""
        trial = self.trial()
        with torch.autocast(trial.body.model.device.type, torch.bfloat16):
            batch = trial.prepare(trial.collate())
            total = trial.loss(batch).total
            gradients = trial.gradients([batch])
        require(bool(total.isfinite()), f"the loss is {total.item()}")
        bad = [name for name, gradient in gradients.items() if not gradient.isfinite().all()]
        require(not bad, f"the gradient of {', '.join(bad)} is not finite")

    def test_state_round_trips_through_safetensors(self) -> None:
        """Its parameters and buffers hold its complete state: saving and loading keeps its loss."""
        trained, fresh = self.trial(seed=0), self.trial(seed=1)
        frozen = trained.frozen()
        trained.train()
        changed = changes(frozen, trained.frozen())
        require(
            not changed,
            f"training changes {', '.join(changed)}: checkpoints leave frozen parameters out, so "
            "make it a buffer",
        )
        with TemporaryDirectory() as directory:
            file = Path(directory, "model.safetensors")
            save_model(trained.objective, str(file))
            load_model(fresh.objective, file)
        # A head may use weights of the body, which were trained too.
        for prefix, module in fresh.modules.items():
            if prefix:
                module.load_state_dict(trained.modules[prefix].state_dict())
        losses = [
            trial.loss(trial.prepare(trial.collate())).total.item() for trial in (trained, fresh)
        ]
        require(losses[0] == losses[1], f"the loss is {losses[0]}, but {losses[1]} after loading")

    def test_dev_and_test_rows_are_out_of_reach(self) -> None:
        """It cannot reach a row of dev or test by attributes, items or closures."""
        trial = self.trial()
        held_out = HeldOut(trial.world)
        for name, root in (("objective", trial.objective), ("context", trial.context)):
            for way, found in reachable(root, name):
                row = held_out.row(found)
                require(row is None, f"{way} holds {row}")

    def test_it_can_be_sent_to_worker_processes(self) -> None:
        """It can be pickled, and its copy collates the same batches."""
        trial = self.trial()
        try:
            sent = pickle.loads(pickle.dumps(trial.objective))
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise Broken(f"it cannot be pickled: {error}") from error
        expected = trial.collate()
        trial.objective = sent
        require(same(expected, trial.collate()), "its pickled copy collates other batches")

    def test_its_passes_are_those_it_declares(self) -> None:
        """It runs the body as often as its `passes` declare, forward and backward."""
        trial = self.trial()
        body = WatchedBody(trial.body)
        trial.gradients([trial.prepare(trial.collate())], body)
        made, declared = body.passes, trial.objective.passes
        require(
            made.forward == declared.forward and made.backward <= declared.backward,
            f"it makes {made.forward} forward and {made.backward} backward passes, but declares "
            f"{declared.forward} and {declared.backward}",
        )

    def test_a_step_does_not_wait_for_the_device(self) -> None:
        """Outside `collate`, a step does not wait for the device."""
        trial = self.trial()
        trial.mode(training=True)
        batch = trial.collate().to(trial.body.model.device)
        state = [t for m in trial.modules.values() for t in m.state_dict(keep_vars=True).values()]
        with seeded(0, "dropout"), no_host_sync([*tensors(batch).values(), *state], Body):
            trial.loss(trial.prepare(batch), trial.step_body())

    def test_metrics_are_sums_over_the_items(self) -> None:
        """Each metric of a loss is one number, the sum of those of its micro-batches."""
        trial = self.trial()
        complete, parts = divided(trial)
        whole = sums(trial, [complete])
        if not whole:
            raise NotApplicable("its loss has no metrics")
        if self.plugin_class().separable:
            require_sums(whole, sums(trial, parts))

    def test_an_end_task_scores_what_it_predicts(self) -> None:
        """An end task predicts each item, and its score has all its `metrics`, finite."""
        self._require_end_task()
        require_scores(self.trial())

    def test_a_probe_takes_the_place_of_an_end_tasks_head(self) -> None:
        """An end task's probe computes outputs like its head's, from its `features`."""
        self._require_end_task()
        require_probe(self.trial())

    def test_an_end_tasks_head_can_be_exported(self) -> None:
        """An end task's `head` is the family's own, so that its model can be exported."""
        self._require_end_task()
        require_family_head(self.trial())

    def _require_end_task(self) -> None:
        if not issubclass(self.plugin_class(), PrimaryObjective):
            raise NotApplicable("it cannot be the end task")

    def test_it_computes_where_the_body_is(self) -> None:
        """Its gradients on an accelerator, a simulated one without a GPU, are those on the CPU."""
        trial, device = self.trial(), accelerator()
        if device is None:
            computes_alike_on_fake_device(self.plugin_class(), self.parsed())
        else:
            computes_alike(trial, device)
