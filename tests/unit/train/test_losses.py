"""Losses computed apart and together, with dense and with sparse gradients, are the same."""

from collections.abc import Callable, Collection, Mapping

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

import tartan.masking
from support.context import ROWS, TinyContext
from tartan import Batch, Objective
from tartan.body import body
from tartan.body.kernels.embedding import sparse_embedding_gradient
from tartan.packed import Packed
from tartan.testing import tiny_source
from tartan.train.losses import Losses
from tartan.train.model import JointModel
from tartan.train.runtime import Runtime
from tartan_objectives.classification import Classification
from tartan_objectives.clm import CLM
from tartan_objectives.mlm import MLM
from tartan_objectives.rtd import RTD

CLASSES = {"task": Classification, "mlm": MLM, "clm": CLM, "rtd": RTD}


class Joint:
    """Objectives on a tiny body, and one micro-batch of each."""

    def __init__(
        self,
        precision: str = "fp32",
        *,
        segments: bool = False,
        family: str = "bert",
        names: Collection[str] = CLASSES.keys(),
    ) -> None:
        with torch.random.fork_rng():
            given = TinyContext(tiny_source(family))
            objectives = {name: CLASSES[name](CLASSES[name].Options(), given) for name in names}
        self.model = JointModel(given.body, "task", objectives)
        for module in self.model.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        given.body.model.config.attention_probs_dropout_prob = 0.0
        for layer in given.body.modules():
            if hasattr(layer, "attention_dropout"):
                layer.attention_dropout = 0.0
        self.losses = Losses(self.model, Runtime(torch.device("cpu"), precision), seed=0)
        self.batches = {name: self.batch(objective) for name, objective in objectives.items()}
        if segments:
            inputs = self.batches["task"].inputs
            types = torch.ones_like(inputs.input_ids)
            joined = Packed(inputs.input_ids, inputs.lengths, types)
            self.batches["task"] = Batch(joined, 8, self.batches["task"].targets)
        self.passes = 0
        given.body.register_forward_pre_hook(self.count)

    def batch(self, objective: Objective) -> Batch:
        return objective.collate(ROWS, torch.Generator().manual_seed(0))

    def together(self, number: int = 0) -> dict[str, Callable[[], Tensor]]:
        (pieces,) = self.losses.passes(number, self.batches, together=True)
        return pieces

    def pieces(self, way: str) -> dict[str, Callable[[], Tensor]]:
        return self.together() if way == "together" else self.losses.apart(0, self.batches)

    def count(self, *_: object) -> None:
        self.passes += 1

    def gradient(self, pieces: Mapping[str, Callable[[], Tensor]]) -> Tensor:
        """The gradient of the sum of mean losses, on everything, [parameters]."""
        self.losses.begin()
        self.passes = 0
        parameters = list(self.model.parameters())
        for parameter in parameters:
            parameter.grad = torch.zeros_like(parameter)
        total = sum(piece() / self.batches[name].items for name, piece in pieces.items())
        assert isinstance(total, Tensor)
        total.backward()
        return torch.cat([p.grad.flatten() for p in parameters if p.grad is not None])


@pytest.mark.parametrize("segments", [False, True])
def test_one_pass_for_all_gives_the_gradient_of_a_pass_for_each(segments: bool):
    joint = Joint(segments=segments)
    apart = joint.gradient(joint.losses.apart(0, joint.batches))
    sums = dict(joint.losses.sums)
    assert joint.passes == 4
    together = joint.gradient(joint.together())
    assert joint.passes == 2  # causal sequences are read by themselves
    assert_close(together, apart, atol=1e-5, rtol=1e-5)
    assert sums.keys() == joint.losses.sums.keys()
    for name, value in sums.items():
        assert_close(joint.losses.sums[name], value)


def test_a_limit_on_tokens_divides_objectives_among_passes():
    joint = Joint()
    tokens = {name: sum(batch.inputs.lengths) for name, batch in joint.batches.items()}
    joint.model.body.max_tokens = tokens["task"] + tokens["mlm"]
    passes = joint.losses.passes(0, joint.batches, together=True)
    assert [set(pieces) for pieces in passes] == [{"task", "mlm"}, {"clm", "rtd"}]
    joint.model.body.max_tokens = 1
    passes = joint.losses.passes(0, joint.batches, together=True)
    assert [list(pieces) for pieces in passes] == [[name] for name in tokens]


@pytest.mark.parametrize("family", ["bert", "llama"])
@pytest.mark.parametrize("together", [False, True])
def test_a_pass_finds_the_layout_that_was_made_ahead(family: str, together: bool, monkeypatch):
    joint = Joint(family=family, names=("task", "clm"))
    joint.model.body.check("causal")  # its first use verifies it, in layouts of its own
    joint.losses.lay_out(joint.batches, together=together)
    monkeypatch.setattr(body, "make_layout", lambda *_, **__: pytest.fail("made in the pass"))
    joint.losses.begin()
    for pieces in joint.losses.passes(0, joint.batches, together=together):
        for piece in pieces.values():
            assert piece().isfinite()


def test_in_bf16_they_agree_in_direction():
    joint = Joint("bf16")
    apart = joint.gradient(joint.losses.apart(0, joint.batches))
    together = joint.gradient(joint.together())
    assert nn.functional.cosine_similarity(apart, together, dim=0) > 0.999
    exact = Joint()
    single = exact.gradient(exact.losses.apart(0, exact.batches))
    assert nn.functional.cosine_similarity(apart, single, dim=0) > 0.99


def test_gradients_with_sparse_embeddings_are_the_same():
    joint = Joint()
    found = joint.gradient(joint.together())
    with sparse_embedding_gradient(joint.model.body.model):
        assert_close(joint.gradient(joint.together()), found)


@pytest.mark.parametrize("way", ["apart", "together"])
def test_the_global_generator_is_restored(way: str):
    joint = Joint()
    joint.model.train()
    joint.losses.begin()
    before = torch.get_rng_state()
    for piece in joint.pieces(way).values():
        piece()
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("way", ["apart", "together"])
def test_dropout_of_heads_does_not_follow_from_the_global_generator(way: str):
    joint, found = Joint(), []
    for module in joint.model.objective("task").modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.5
    joint.model.train()
    for seed in (1, 2):
        torch.manual_seed(seed)
        joint.losses.begin()
        pieces = joint.pieces(way)
        found.append([piece() for piece in reversed(pieces.values())][-1])
    assert torch.equal(*found)


def test_dropout_is_a_function_of_the_seed_the_number_and_who_is_read():
    joint = Joint()
    for module in joint.model.body.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.5
    joint.model.train()

    def loss(number: int) -> Tensor:
        joint.losses.begin()
        return joint.together(number)["task"]()

    assert torch.equal(loss(3), loss(3))
    assert not torch.equal(loss(3), loss(4))


def test_logits_of_many_tokens_exist_by_parts(monkeypatch: pytest.MonkeyPatch):
    joint = Joint()
    objective = joint.model.objective("clm")
    whole = joint.gradient(joint.losses.apart(0, {"clm": joint.batches["clm"]}))
    sums = dict(joint.losses.sums)
    widths: list[int] = []
    objective.head.register_forward_pre_hook(lambda _, args: widths.append(args[0].shape[1]))
    monkeypatch.setattr(tartan.masking, "logits_chunk", lambda _: 7)
    parts = joint.gradient(joint.losses.apart(0, {"clm": joint.batches["clm"]}))
    assert max(widths) == 7
    assert sum(widths) == 2 * joint.batches["clm"].items  # forward, and again on the way back
    assert_close(parts, whole)
    assert_close(dict(joint.losses.sums), sums)
