"""Objectives that call the body themselves and use the end task's head, in real steps."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from support.context import ROWS, TinyContext
from support.problems import Fixed
from tartan import Batch, ConfigError, Needs, Objective, Shared, Term, backward
from tartan.experiment.context import TaskContext
from tartan.testing import tiny_source
from tartan.train.losses import Losses
from tartan.train.model import JointModel
from tartan.train.runtime import Runtime
from tartan_objectives.classification import Classification, ClassificationOptions
from tartan_objectives.mlm import MLM, MLMOptions
from tartan_objectives.rdrop import RDrop, RDropOptions
from tartan_objectives.vat import VAT, VATOptions

WEIGHTS = torch.tensor([0.5, 0.2, 0.3, 0.7])


class Joint:
    """The end task, mlm, rdrop and vat on a tiny body, and two micro-batches of each."""

    def __init__(self) -> None:
        with torch.random.fork_rng():
            given = TinyContext(tiny_source("bert"))
            task = Classification(ClassificationOptions(), given)
            given.primary = task
            objectives: dict[str, Objective] = {
                "task": task,
                "mlm": MLM(MLMOptions(), given),
                "rdrop": RDrop(RDropOptions(), given),
                "vat": VAT(VATOptions(), given),
            }
        self.model = JointModel(given.body, "task", objectives).train()
        self.losses = Losses(self.model, Runtime(torch.device("cpu"), "fp32"), seed=0)
        self.losses.begin()

    def batches(self, number: int) -> dict[str, Batch]:
        rows = ROWS[::2] if number else ROWS[1::2]
        return {
            name: self.model.objective(name).collate(rows, torch.Generator().manual_seed(number))
            for name in self.model.names
        }

    def terms(self, *, together: bool, names: Sequence[str] = ()) -> list[Term]:
        names = names or self.model.names
        micro = [{name: self.batches(number)[name] for name in names} for number in (0, 1)]
        pieces = [
            part
            for number, batches in enumerate(micro)
            for part in self.losses.passes(number, batches, together=together)
        ]
        return [
            Term(
                [part[name] for part in pieces],
                sum(batches[name].items for batches in micro),
                self.model.private(name),
            )
            for name in names
        ]

    def heads(self) -> list[nn.Parameter]:
        return list(self.model.end_task.parameters())


def test_the_end_tasks_parameters_are_trained_by_three_objectives_and_saved_once():
    model = Joint().model
    task = {id(p) for p in model.end_task.parameters()}
    for name in ("rdrop", "vat"):
        assert {id(p) for p in model.private(name)} == task
        assert not list(model.objective(name).parameters())
    assert not {id(p) for p in model.private("mlm")} & task
    assert len({id(p) for p in model.heads(model.names)}) == len(model.heads(model.names))
    saved = {name.split(".")[1] for name in model.state_dict() if name.startswith("objectives.")}
    assert saved == {"task", "mlm"}


def test_a_stage_without_the_end_task_trains_its_head_where_an_objective_uses_it():
    model = Joint().model
    assert {id(p) for p in model.heads(["rdrop"])} == {id(p) for p in model.end_task.parameters()}


@pytest.mark.parametrize(
    "needs", [Needs.LOSSES, Needs.LOSSES | Needs.DEV, Needs.LOSSES | Needs.GRADIENTS]
)
def test_a_head_of_several_objectives_gets_the_weighted_sum_of_their_gradients(needs: Needs):
    joint = Joint()
    parameters = joint.heads()
    expected = [torch.zeros_like(p) for p in parameters]
    for weight, term in zip(WEIGHTS, joint.terms(together=False), strict=True):
        for piece in term.pieces:
            found = torch.autograd.grad(piece() * term.per_item, parameters, allow_unused=True)
            for at, gradient in enumerate(found):
                expected[at] += 0 if gradient is None else weight * gradient
    dev = Term([lambda: joint.model.body.embed(joint.batches(0)["task"].inputs).square().sum()])
    backward(
        joint.terms(together=False),
        Fixed(WEIGHTS, needs),
        Shared(joint.model.shared()),
        dev=dev,
        needs=needs,
    )
    for parameter, value in zip(parameters, expected, strict=True):
        assert parameter.grad is not None
        assert value.any()
        assert_close(parameter.grad, value, atol=1e-6, rtol=1e-5)


def test_the_joint_pass_leaves_out_objectives_that_call_the_body():
    joint = Joint()
    passes: list[int] = []
    joint.model.body.register_forward_hook(lambda _, args, __: passes.append(len(args[0].lengths)))
    (pieces,) = joint.losses.passes(0, joint.batches(0), together=True)
    for piece in pieces.values():
        piece()
    rows = len(ROWS[1::2])
    joint_pass, own = 2 * rows, rows
    declared = sum(joint.model.objective(name).passes.forward for name in ("rdrop", "vat"))
    assert passes == [joint_pass, *[own] * declared]


def losses(
    joint: Joint, names: Sequence[str], number: int = 0, *, together: bool
) -> dict[str, float]:
    batches = {name: joint.batches(0)[name] for name in names}
    (pieces,) = joint.losses.passes(number, batches, together=together)
    return {name: piece().item() for name, piece in pieces.items()}


def test_dropout_of_computed_losses_is_a_function_of_seed_name_and_number_alone():
    joint = Joint()
    alone = losses(joint, ["vat"], together=False) | losses(joint, ["rdrop"], together=False)
    torch.rand(5)
    everything = losses(joint, joint.model.names, together=True)
    assert {name: everything[name] for name in alone} == alone
    later = losses(joint, ["vat", "rdrop"], number=7, together=True)
    assert all(later[name] != alone[name] for name in alone)


def test_computing_a_loss_leaves_the_global_generator_as_it_was():
    joint = Joint()
    before = torch.get_rng_state()
    losses(joint, joint.model.names, together=True)
    assert torch.equal(torch.get_rng_state(), before)


def test_what_a_computed_loss_logs_is_summed_with_the_others():
    joint = Joint()
    losses(joint, joint.model.names, together=True)
    assert joint.losses.sums["divergence/rdrop"] > 0
    assert "accuracy/mlm" in joint.losses.sums


def test_the_end_task_itself_has_no_end_task_to_use(given: TinyContext):
    context = TaskContext("mine", _training(), given.body, seed=0)
    with pytest.raises(ConfigError, match="mine trains the end task's head, so it cannot be"):
        _ = context.end_task


def _training() -> Any:
    from tartan.testing.world import world  # noqa: PLC0415

    given = world()
    return given.texts.training(given.texts.split("train"))


def test_an_objective_that_does_not_declare_it_cannot_use_the_end_task(given: TinyContext):
    with pytest.raises(TypeError, match="MLM must declare uses_end_task"):
        _ = MLM(MLMOptions(), given).end_task
