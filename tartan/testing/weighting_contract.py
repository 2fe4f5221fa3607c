"""The contract of weightings."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import ClassVar

import torch
from safetensors.torch import load, save
from torch import Tensor

from tartan.active import Active
from tartan.errors import TartanError
from tartan.plugins import discover
from tartan.testing.contents import contents, lost
from tartan.testing.contract import Broken, Contract, NotApplicable, require
from tartan.testing.host import no_host_sync
from tartan.testing.weighting_trial import (
    Measured,
    Undeclared,
    changed,
    choice_generator,
    chosen,
    copied,
    draws,
    extremes,
    learn,
    only,
    spent,
    step_generator,
    take,
    take_chosen,
)
from tartan.weighting import Needs, Signals, Weighting, cost, samples

NAMES = ("task", "tapt", "dapt", "rtd")
FACTORS: Mapping[str, Mapping[str, str]] = {
    "tapt": {"data": "task", "output": "tokens"},
    "dapt": {"data": "domain", "output": "tokens"},
    "rtd": {"data": "task", "output": "binary"},
}
"""What `describe` receives; nothing of the end task."""
STEPS = range(9)
BUDGET = 12
"""What `budget` receives: as many steps as the longest rule takes."""
META = torch.device("meta")
"""A device of shapes without values, on which tensors of two devices cannot meet."""
DRAWN = 400
"""The number of choices from which shares are computed."""


class WeightingContract(Contract):
    """The rules for a weighting, by its plugin's name or by its class.

    Attributes:
        weighting: the class, where it is not that of an installed plugin.
    """

    weighting: ClassVar[type[Weighting] | None] = None

    @classmethod
    def kind(cls) -> str:
        """`weighting`."""
        return "weighting"

    @classmethod
    def plugin_class(cls) -> type[Weighting]:
        """Return the weighting under contract. PluginError if no plugin has the name."""
        return cls.weighting or discover().weighting(cls.plugin)

    def make(self, names: tuple[str, ...] = NAMES) -> Weighting:
        """Make the weighting of some objectives as a run does; Broken if it cannot be built."""
        try:
            weighting = self.plugin_class()(self.parsed(), names)
            weighting.describe({name: FACTORS.get(name, {}) for name in names})
            weighting.budget(BUDGET)
        except TartanError as error:
            raise Broken(
                f"it cannot be built for the objectives {', '.join(names)} ({error}): subclass "
                "WeightingContract and give it `options` that can"
            ) from error
        return weighting

    def test_weights_are_finite_and_not_negative(self) -> None:
        """For all finite signals, its weights are finite and, unless it is `signed`, >= 0."""
        steps = list(extremes(len(NAMES)).items())
        for first in range(len(steps)):
            weighting = self.make()
            order = [*steps[first:], *steps[:first]]
            for number, (name, measured) in enumerate(order):
                used = take(weighting, number, measured)
                self._require_weights(used, f"in a step with {name}")
                self._require_weights(weighting.weights(), f"after a step with {name}")

    def _require_weights(self, weights: Tensor, when: str) -> None:
        shape = tuple(weights.shape)
        require(shape == (len(NAMES),), f"{when} its weights have shape {shape}")
        signed = self.plugin_class().signed
        good = bool((weights.isfinite() & ((weights >= 0) | signed)).all())
        require(good, f"{when} its weights are {weights.tolist()}")

    def test_permuting_the_auxiliaries_permutes_their_weights(self) -> None:
        """Each auxiliary objective has the same weight in whatever order they are named."""
        if draws(self.make(), len(NAMES)):
            raise NotApplicable("its weights are random")
        order = torch.tensor([0, 2, 3, 1])
        one, other = self.make(), self.make(tuple(NAMES[index] for index in order))
        for step in STEPS:
            measured = Measured.of(len(NAMES), step)
            expected = take(one, step, measured)[order]
            found = take(other, step, measured.ordered(order))
            require(
                torch.allclose(expected, found, rtol=1e-4, atol=1e-6),
                f"at step {step} the weights are {found.tolist()}, and in the other order "
                f"{expected.tolist()}",
            )

    def test_it_resumes_exactly_from_its_state(self) -> None:
        """Its state passes through safetensors, and a weighting that loads it continues exactly."""
        one, other = self.make(), self.make()
        began, half = contents(one), len(STEPS) // 2
        for step in STEPS[:half]:
            take(one, step, Measured.of(len(NAMES), step))
        other.load_state_dict(load(save(dict(one.state_dict()))))
        for step in STEPS[half:]:
            measured = Measured.of(len(NAMES), step)
            expected, found = take(one, step, measured), take(other, step, measured)
            require(
                torch.equal(expected, found),
                f"resumed at step {half}, at step {step} its weights are {found.tolist()}, and "
                f"without a break {expected.tolist()}",
            )
            # What a step computes from its own signals alone, such as a cache, is the same again.
            missed = lost(began, one, other) if step == half else []
            require(
                not missed,
                f"its state_dict lacks {', '.join(missed)}: its steps change that, and a weighting "
                f"that loads the state does not get it back",
            )

    def test_its_state_moves_with_it(self) -> None:
        """Its tensors are buffers and parameters, so that `to` moves them, and it learns there."""
        weighting = self.make()
        for step in STEPS:
            take(weighting, step, Measured.of(len(NAMES), step))
        stray = [name for name, value in vars(weighting).items() if isinstance(value, Tensor)]
        require(
            not stray,
            f"{', '.join(stray)}: a tensor that is neither a buffer nor a parameter; "
            "use register_buffer",
        )
        indices = weighting.active(len(STEPS), choice_generator(len(STEPS)))
        try:
            device = weighting.to(META).weights().device.type
        except (RuntimeError, NotImplementedError) as error:
            raise Broken(f"moved to another device, it gives no weights: {error}") from error
        require(device == "meta", f"moved to another device, its weights are on {device}")
        if weighting.waits:
            return  # it computes on the CPU, which the values of this device do not reach
        some = None if indices is None else Active(indices, len(NAMES), META)
        try:
            take_chosen(weighting, len(STEPS), Measured.of(len(NAMES), len(STEPS)).to(META), some)
        except NotImplementedError:
            pass  # an operator that this device lacks
        except RuntimeError as error:
            raise Broken(f"moved to another device, its step fails there: {error}") from error

    def test_random_choices_are_the_steps_own(self) -> None:
        """It draws from `signals.generator` alone, so that a step always draws the same."""
        one, other = self.make(), self.make()
        for step in STEPS:
            measured = Measured.of(len(NAMES), step)
            expected = self._with_global_seed(one, step, measured, 1)
            found = self._with_global_seed(other, step, measured, 2)
            require(
                torch.equal(expected, found),
                f"at step {step} its weights are {found.tolist()}, and with another global seed "
                f"{expected.tolist()}",
            )

    def _with_global_seed(
        self, weighting: Weighting, step: int, measured: Measured, seed: int
    ) -> Tensor:
        """Take a step with torch's global generator at a seed; Broken if that is drawn from."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            before = torch.get_rng_state()
            weights = take(weighting, step, measured)
            kept = torch.equal(before, torch.get_rng_state())
        require(kept, f"at step {step} it draws from torch's global generator")
        return weights

    def test_declared_needs_are_enough(self) -> None:
        """It reads no signal that its `needs` do not declare, and `combine` is called."""
        weighting, cls = self.make(), self.plugin_class()
        require(
            cls.combine is Weighting.combine or Needs.GRADIENTS in weighting.needs,
            "`combine` is never called: add Needs.GRADIENTS to its `needs`, or use `update`",
        )
        for step in STEPS:
            guard = partial(Undeclared.guard, weighting.needs)
            take(weighting, step, Measured.of(len(NAMES), step), guard)

    def test_signals_are_left_as_they_were(self) -> None:
        """It does not modify the signals, from which a run reports losses and weights."""
        weighting = self.make()
        handed: list[tuple[Signals, Signals]] = []

        def keep(signals: Signals) -> Signals:
            handed.append((copied(signals), signals))
            return signals

        for step in STEPS:
            take(weighting, step, Measured.of(len(NAMES), step), keep)
            names = {name: None for pair in handed for name in changed(*pair)}
            require(not names, f"at step {step} it modifies {', '.join(names)} of its signals")

    def test_the_cost_declared_is_the_cost_measured(self) -> None:
        """A step takes as many backward passes as `due` declares, and never more than `needs`."""
        for objectives in range(max(2, self.plugin_class().fewest), len(NAMES) + 1):
            weighting = self.make(NAMES[:objectives])
            most = cost(weighting.needs, objectives).backwards
            for step in STEPS:
                due = weighting.due(step)
                require(
                    due in weighting.needs,
                    f"at step {step} it needs {due}, but its `needs` are {weighting.needs}",
                )
                found, computed = spent(weighting, objectives, step)
                declared = cost(due, computed)
                require(
                    found == declared.backwards and found <= most,
                    f"step {step} of {computed} objectives takes {found} backward passes, and "
                    f"{due} is declared to take {declared.backwards}, {most} at the most",
                )

    def test_nothing_waits_for_the_device(self) -> None:
        """It never waits for a tensor's values: not for its weights, and not when it learns.

        `active` may wait, as its result is read on the host.
        """
        if self.plugin_class().waits:
            raise NotApplicable("it declares that it computes on the CPU")
        weighting = self.make()
        for step in STEPS:
            measured, some = Measured.of(len(NAMES), step), chosen(weighting, step)
            with no_host_sync():
                take_chosen(weighting, step, measured, some)

    def test_a_step_computes_the_end_task_and_objectives_that_exist(self) -> None:
        """If it chooses a step's objectives, their indices are ascending, and 0 is the first."""
        weighting = self._sampling()
        for step in STEPS:
            indices = weighting.active(step, choice_generator(step))
            found = range(len(NAMES)) if indices is None else list(indices)
            require(
                list(found) == [index for index in range(len(NAMES)) if index in found]
                and 0 in found,
                f"step {step} of {len(NAMES)} objectives computes those at {list(found)}",
            )
            take(weighting, step, Measured.of(len(NAMES), step))

    def test_its_choice_follows_from_its_state_and_the_step(self) -> None:
        """If it chooses a step's objectives, it does so again alike, and changes no state."""
        weighting = self._sampling()
        for step in STEPS:
            before = {name: value.clone() for name, value in weighting.state_dict().items()}
            with torch.random.fork_rng(devices=[]):
                drawn = torch.get_rng_state()
                first = weighting.active(step, choice_generator(step))
                again = weighting.active(step, choice_generator(step))
                kept = torch.equal(drawn, torch.get_rng_state())
            require(first == again, f"step {step} computes {first}, and asked again {again}")
            require(kept, f"at step {step} `active` draws from torch's global generator")
            state = weighting.state_dict()
            changed = [name for name, value in before.items() if not value.equal(state[name])]
            require(not changed, f"at step {step} `active` changes {', '.join(changed)}")
            take(weighting, step, Measured.of(len(NAMES), step))

    def test_its_chances_are_those_of_its_choices(self) -> None:
        """Its `chances`, which a run's cost is computed from, are how often it chooses each."""
        weighting = self.make()
        for step in range(2):
            declared = weighting.chances()
            masks = torch.stack([self._mask(weighting, draw) for draw in range(DRAWN)])
            found = masks.float().mean(0)
            bound = 5 * (declared * (1 - declared) / DRAWN).clamp(min=0).sqrt() + 1e-4
            require(
                bool(((found - declared).abs() <= bound).all()),
                f"its chances are {declared.tolist()}, and in {DRAWN} choices each is computed in "
                f"the shares {found.tolist()}",
            )
            take(weighting, step, Measured.of(len(NAMES), step))

    def _mask(self, weighting: Weighting, draw: int) -> Tensor:
        """Return whether a step computes each objective, [objectives] bool."""
        some = chosen(weighting, draw)
        return torch.ones(len(NAMES), dtype=torch.bool) if some is None else some.mask

    def test_it_learns_nothing_from_objectives_that_are_not_computed(self) -> None:
        """If it chooses a step's objectives, it ignores the signals of the others."""
        one, other = self._sampling(), self.make()
        for step in STEPS:
            measured, some = Measured.of(len(NAMES), step), chosen(one, step)
            signals = only(some, measured.signals(one.due(step), one.weights()))
            signals = replace(signals, generator=step_generator(step))
            absent = torch.zeros(len(NAMES)) > 0 if some is None else ~some.mask
            learn(one, copied(signals))
            learn(other, replace(signals, losses=signals.losses.masked_fill(absent, 1e3)))
            require(
                torch.equal(one.weights(), other.weights()),
                f"at step {step} its weights become {one.weights().tolist()}, and if the losses of "
                f"those that are not computed were 1000 and not 0, {other.weights().tolist()}",
            )

    def _sampling(self) -> Weighting:
        """Make the weighting. NotApplicable if each step computes all objectives."""
        weighting = self.make()
        if not samples(type(weighting)):
            raise NotApplicable("each step computes all objectives")
        return weighting
