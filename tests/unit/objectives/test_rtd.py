"""Replaced-token detection is ELECTRA's, and its generator is the objective's own."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close
from transformers import ElectraForPreTraining

import tartan_objectives.rtd as module
from support.context import ROWS, TinyContext
from tartan import Batch, ConfigError, ModelError, Needs, Packed, Shared, Term, backward
from tartan.body.export import reassembled
from tartan.testing import save_tiny, tiny_source
from tartan.train.model import JointModel
from tartan_objectives.classification import Classification, ClassificationOptions
from tartan_objectives.rtd import RTD, SAMPLERS, RTDOptions
from tartan_weightings.static import Static, StaticOptions


def make(given: TinyContext, **options: Any) -> RTD:
    return RTD(RTDOptions(**options), given).eval()


def collate(objective: RTD, seed: int = 0) -> Batch:
    return objective.collate(ROWS, torch.Generator().manual_seed(seed))


def prepared(objective: RTD, seed: int = 0) -> Batch:
    return objective.prepare(collate(objective, seed))


class Says(nn.Module):
    """A generator that is sure of a token of its own for each position of the batch."""

    def __init__(self, tokens: Tensor, vocabulary: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(nn.functional.one_hot(tokens, vocabulary) * 1000.0)

    def forward(self, packed: Packed, masked: Tensor) -> Tensor:
        return self.logits[masked]


@pytest.fixture
def electra() -> TinyContext:
    return TinyContext(tiny_source("electra"))


def test_the_discriminators_loss_is_electras(electra: TinyContext):
    objective, body = make(electra, mask_prob=0.5), electra.body.eval()
    batch = prepared(objective)
    own = ElectraForPreTraining(electra.source.config).eval()
    own.electra.load_state_dict(body.model.state_dict())
    own.discriminator_predictions.dense.load_state_dict(objective.head[0].state_dict())
    own.discriminator_predictions.dense_prediction.load_state_dict(objective.head[2].state_dict())
    expected = own(
        input_ids=batch.inputs.pad(batch.inputs.input_ids, 1),
        attention_mask=batch.inputs.mask.long(),
        labels=batch.inputs.pad(batch.targets["replaced"].long()),
    ).loss
    found = objective.loss(body(batch.inputs), batch).metrics["discriminator_loss"]
    assert batch.targets["replaced"].any()
    assert_close(found / batch.items, expected)


def test_the_generators_loss_is_that_of_the_familys_masked_lm(electra: TinyContext):
    objective = make(electra, mask_prob=0.5)
    batch = collate(objective)
    labels = torch.full_like(batch.inputs.input_ids, -100)
    masked = batch.targets["masked"]
    labels[masked] = batch.targets["original"][masked]
    found = objective.prepare(batch).targets["generator_loss"]
    with reassembled(objective.generator.body, objective.generator.head) as model:
        model.base_model.set_attn_implementation("eager")
        expected = model(
            input_ids=batch.inputs.pad(batch.inputs.input_ids, 1),
            attention_mask=batch.inputs.mask.long(),
            labels=batch.inputs.pad(labels, -100),
        ).loss
    assert_close(found / len(masked), expected)


def test_the_loss_is_the_weighted_mean_of_both(given: TinyContext):
    objective = make(given, mask_prob=0.5, discriminator_weight=3.0, generator_weight=2.0)
    batch = prepared(objective)
    loss = objective.loss(given.body(batch.inputs), batch)
    expected = 3 * loss.metrics["discriminator_loss"] + 2 * loss.metrics["generator_loss"]
    assert_close(loss.total.detach(), expected / 5)
    assert_close(loss.metrics["generator_loss"], batch.targets["generator_loss"].detach() / 0.5)
    assert (RTDOptions().discriminator_weight, RTDOptions().generator_weight) == (50, 1)


def test_a_share_of_the_ordinary_tokens_is_masked_and_no_other_token_changes(given: TinyContext):
    objective = make(given)
    rows = [{"input_ids": [0, *[7] * 500, 2]} for _ in range(200)]
    batch = objective.collate(rows, torch.Generator().manual_seed(0))
    masked, original = batch.targets["masked"], batch.targets["original"]
    assert batch.items == len(original) == 200 * 502
    assert len(masked) / 100_000 == pytest.approx(0.15, abs=0.005)
    assert (original[masked] == 7).all()
    assert (batch.inputs.input_ids[masked] == given.tokenizer.mask_token_id).all()
    untouched = torch.ones(batch.items, dtype=torch.bool)
    untouched[masked] = False
    assert torch.equal(batch.inputs.input_ids[untouched], original[untouched])


@pytest.mark.parametrize("sampling", SAMPLERS)
def test_special_tokens_are_never_replaced(given: TinyContext, sampling: str):
    batch = prepared(make(given, mask_prob=1.0, sampling=sampling))
    special = torch.isin(batch.targets["original"], torch.tensor(given.tokenizer.all_special_ids))
    assert special.sum() == 2 * len(ROWS)
    assert not batch.targets["replaced"][special].any()
    assert batch.targets["replaced"][~special].any()


@pytest.mark.parametrize("sampling", SAMPLERS)
def test_a_sample_that_is_the_original_token_counts_as_original(given: TinyContext, sampling: str):
    objective = make(given, mask_prob=1.0, sampling=sampling)
    batch = collate(objective)
    original, masked = batch.targets["original"], batch.targets["masked"]
    said = original.clone()
    wrong = masked[::2]
    said[wrong] = original[wrong] + 1
    objective.generator = Says(said, len(given.tokenizer))
    batch = objective.prepare(batch)
    assert torch.equal(batch.inputs.input_ids, said)
    assert torch.equal(batch.targets["replaced"].nonzero().squeeze(1), wrong)


@pytest.mark.parametrize("sampling", SAMPLERS)
def test_samples_are_distributed_as_the_softmax(sampling: str):
    logits = torch.tensor([2.0, 0.0, -1.0, 1.0, -30.0])
    rng = torch.Generator().manual_seed(0)
    drawn = SAMPLERS[sampling](logits.expand(100_000, -1), rng)
    shares = drawn.bincount(minlength=5) / len(drawn)
    assert_close(shares, logits.softmax(0), atol=0.006, rtol=0)


@pytest.mark.parametrize("sampling", SAMPLERS)
def test_nothing_beyond_the_vocabulary_is_sampled(sampling: str):
    given = TinyContext(tiny_source(vocab_size=len(tiny_source().tokenizer) * 20))
    batch = prepared(make(given, mask_prob=1.0, sampling=sampling))
    assert batch.inputs.input_ids.max() < len(given.tokenizer)


@pytest.mark.parametrize("sampling", SAMPLERS)
def test_samples_follow_from_the_batchs_seed_alone(given: TinyContext, sampling: str):
    objective = make(given, mask_prob=0.8, sampling=sampling)
    batch = collate(objective)
    before = torch.get_rng_state()
    one, same = (objective.prepare(batch).inputs.input_ids for _ in range(2))
    other = objective.prepare(replace(batch, seed=batch.seed + 1)).inputs.input_ids
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_a_batch_is_a_function_of_its_generator(given: TinyContext):
    objective = make(given)
    one, same, other = (collate(objective, seed) for seed in (3, 3, 4))
    assert (one.seed, one.inputs.input_ids.tolist()) == (same.seed, same.inputs.input_ids.tolist())
    assert one.seed != other.seed


def test_the_generator_learns_nothing_from_the_discriminator(given: TinyContext):
    objective = make(given, mask_prob=0.5, generator_weight=0.0)
    batch = prepared(objective)
    objective.loss(given.body(batch.inputs), batch).total.backward()
    assert not any(p.grad.any() for p in objective.generator.parameters() if p.grad is not None)
    assert all(p.grad.any() for p in objective.head.parameters())


def joint(given: TinyContext, objective: RTD) -> JointModel:
    primary = Classification(ClassificationOptions(), given)
    return JointModel(given.body, "classification", {"classification": primary, "rtd": objective})


def test_the_generator_is_the_objectives_own_and_no_part_of_the_body(given: TinyContext):
    model = joint(given, make(given))
    own = {id(p) for p in model.private("rtd")}
    assert {id(p) for p in model.objectives["rtd"].generator.parameters()} < own
    assert not own & {id(p) for p in model.shared()}


@pytest.mark.parametrize("tied", [False, True])
def test_the_generators_loss_is_in_the_gramian_where_embeddings_are_tied_alone(
    given: TinyContext, tied: bool
):
    objective = make(given, mask_prob=0.5, discriminator_weight=0.0, tied=tied, generator_size=1.0)
    model = joint(given, objective)
    batch = collate(objective)

    def piece() -> Tensor:
        ready = objective.prepare(batch)
        return objective.loss(given.body(ready.inputs), ready).total

    weighting = Static(StaticOptions(), ("rtd",))
    term = Term([piece], batch.items, model.private("rtd"))
    signals = backward([term], weighting, Shared(model.shared()), needs=Needs.GRADIENTS)
    assert (signals.norms > 0).tolist() == [tied]
    assert all(p.grad.any() for p in objective.generator.parameters())


def test_tied_embeddings_are_the_bodys_parameter(electra: TinyContext):
    objective = make(electra, tied=True)
    embeddings = electra.body.model.get_input_embeddings().weight
    assert objective.generator.body.model.get_input_embeddings().weight is embeddings
    assert objective.generator.head.model.generator_lm_head.weight is embeddings
    assert all(p is not embeddings for p in objective.parameters())
    assert not any("word_embeddings" in name for name in objective.state_dict())
    assert objective.generator.body.hidden_size < electra.body.hidden_size


def test_splitting_a_batch_splits_its_sum(given: TinyContext, monkeypatch: pytest.MonkeyPatch):
    """Where samples are a function of the text, as here: others depend on the batch's seed."""
    likeliest: Callable[..., Tensor] = lambda logits, rng: logits.argmax(1)  # noqa: E731
    monkeypatch.setitem(module.SAMPLERS, "gumbel", likeliest)
    objective, body = make(given, mask_prob=0.4), given.body.eval()
    batch = collate(objective)

    def total(part: Batch) -> Tensor:
        ready = objective.prepare(part)
        return objective.loss(body(ready.inputs), ready).total

    parts = [
        cut(batch, start, length)
        for start, length in zip(batch.inputs.starts.tolist(), batch.inputs.lengths, strict=True)
    ]
    assert sum(part.items for part in parts) == batch.items
    assert_close(sum(total(part) for part in parts), total(batch))


def cut(batch: Batch, start: int, length: int) -> Batch:
    """One sequence of a batch, as a batch."""
    masked = batch.targets["masked"] - start
    inside = (masked >= 0) & (masked < length)
    original = batch.targets["original"][start : start + length]
    return replace(
        batch,
        inputs=Packed(batch.inputs.input_ids[start : start + length], (length,)),
        items=length,
        targets={"masked": masked[inside], "original": original},
    )


@pytest.mark.parametrize("sampling", SAMPLERS)
def test_a_batch_without_a_mask_has_no_replaced_token(given: TinyContext, sampling: str):
    objective = make(given, mask_prob=1e-9, sampling=sampling)
    batch = prepared(objective)
    loss = objective.loss(given.body(batch.inputs), batch)
    loss.total.backward()
    assert not batch.targets["replaced"].any()
    assert loss.metrics["generator_loss"] == 0
    assert loss.total > 0


def test_a_pretrained_generator_is_read_from_its_directory(given: TinyContext, tmp_path):
    directory = save_tiny(tmp_path / "generator", "bert", hidden_size=8)
    objective = make(given, generator=str(directory))
    assert objective.generator.body.hidden_size == 8
    batch = prepared(objective)
    assert objective.loss(given.body(batch.inputs), batch).total.isfinite()


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"mask_prob": 0.0}, "objectives.mine.mask_prob must be in (0, 1], got 0.0."),
        ({"generator_size": 1.5}, "objectives.mine.generator_size must be in (0, 1], got 1.5."),
        (
            {"discriminator_weight": -1.0},
            "finite, at least 0 and not both 0, got -1.0 and 1.0.",
        ),
        (
            {"generator_weight": float("nan")},
            "objectives.mine.discriminator_weight and generator_weight must be finite",
        ),
        ({"discriminator_weight": 0.0, "generator_weight": 0.0}, "not both 0, got 0.0 and 0.0."),
        ({"sampling": "gumble"}, "objectives.mine.sampling=gumble: did you mean 'gumbel'?"),
        ({"tied": True}, "objectives.mine.tied=true: token embeddings of shape"),
    ],
)
def test_options_without_a_meaning_are_refused(
    given: TinyContext, options: dict[str, Any], line: str
):
    with pytest.raises(ConfigError) as caught:
        make(given, **options)
    assert line in str(caught.value)


def test_a_generator_that_is_nowhere_is_refused_by_its_option(given: TinyContext):
    with pytest.raises(
        ModelError, match=r"^objectives\.mine\.generator=\./nowhere: .*there is no such directory"
    ):
        make(given, generator="./nowhere")


def test_a_mask_token_is_needed(given: TinyContext):
    given.tokenizer.mask_token = None
    with pytest.raises(ModelError, match=r"objectives\.mine needs a mask token"):
        make(given)
