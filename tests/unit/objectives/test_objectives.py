"""First-party objectives on tiny bodies: what they ask, what they score, what they promise."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from support.context import ROWS, TinyContext
from tartan import ConfigError, ModelError, Objective, Row
from tartan.body import Body
from tartan_objectives.classification import Classification, ClassificationOptions
from tartan_objectives.mlm import MLM, MLMOptions


@pytest.fixture
def given() -> Iterator[TinyContext]:
    with torch.random.fork_rng():
        yield TinyContext()


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make(cls: type[Objective], given: TinyContext, **options: Any) -> Objective:
    return cls(cls.Options(**options), given).eval()


def mean_loss(objective: Objective, body: Body, rows: Sequence[Row]) -> torch.Tensor:
    batch = objective.collate(rows, rng())
    return objective.loss(body(batch.inputs), batch).total / batch.items


@pytest.mark.parametrize("cls", [MLM, Classification])
def test_splitting_a_batch_splits_its_sum(cls: type[Objective], given: TinyContext):
    objective, body = make(cls, given), given.body.eval()
    batch = objective.collate(ROWS, rng())
    whole = objective.loss(body(batch.inputs), batch).total
    # One collate, cut by sequence: the masks stay what they were.
    hidden, total, items = body(batch.inputs), torch.zeros(()), 0
    bounds = torch.tensor(batch.inputs.lengths).cumsum(0)
    for index, (end, length) in enumerate(zip(bounds, batch.inputs.lengths, strict=True)):
        start = int(end) - length
        part = cut(batch, index, start, length)
        total = total + objective.loss(hidden[start:end], part).total
        items += part.items
    assert_close(total, whole)
    assert items == batch.items


def cut(batch: Any, index: int, start: int, length: int) -> Any:
    """One sequence of a batch, as a batch."""
    from tartan import Batch, Packed  # noqa: PLC0415

    inputs = Packed(batch.inputs.input_ids[start : start + length], (length,))
    targets = dict(batch.targets)
    if "indices" in targets:
        inside = (targets["indices"] >= start) & (targets["indices"] < start + length)
        targets = {
            "indices": targets["indices"][inside] - start, "tokens": targets["tokens"][inside],
        }  # fmt: skip
        return Batch(inputs, int(inside.sum()), targets)
    return Batch(inputs, 1, {"labels": targets["labels"][index : index + 1]})


@pytest.mark.parametrize("cls", [MLM, Classification])
def test_the_same_generator_gives_the_same_batch_and_the_global_one_is_left(
    cls: type[Objective], given: TinyContext
):
    objective = make(cls, given)
    before = torch.get_rng_state()
    one, same = (objective.collate(ROWS, rng(3)) for _ in range(2))
    assert torch.equal(one.inputs.input_ids, same.inputs.input_ids)
    assert all(torch.equal(one.targets[k], same.targets[k]) for k in one.targets)
    assert torch.equal(torch.get_rng_state(), before)


def test_mlm_masks_as_bert_does(given: TinyContext):
    """15 % of tokens: 80 % masked, 10 % random, 10 % as they are; never special tokens."""
    objective = make(MLM, given)
    rows = [{"input_ids": [0, *[7] * 500, 2]} for _ in range(200)]
    batch = objective.collate(rows, rng())
    assert batch.items == len(batch.targets["indices"])
    assert batch.items / 100_000 == pytest.approx(0.15, abs=0.005)
    assert (batch.targets["tokens"] == 7).all()
    seen = batch.inputs.input_ids[batch.targets["indices"]]
    masked = (seen == given.tokenizer.mask_token_id).float().mean()
    assert masked == pytest.approx(0.8 + 0.1 / len(given.tokenizer), abs=0.015)
    assert (seen == 7).float().mean() == pytest.approx(0.1 + 0.1 / len(given.tokenizer), abs=0.01)
    untouched = torch.ones(len(batch.inputs.input_ids), dtype=torch.bool)
    untouched[batch.targets["indices"]] = False
    original = torch.tensor([token for row in rows for token in row["input_ids"]])
    assert torch.equal(batch.inputs.input_ids[untouched], original[untouched])


def test_mlm_scores_masked_tokens_as_the_whole_model_does(given: TinyContext):
    from transformers import AutoModelForMaskedLM  # noqa: PLC0415

    objective, body = make(MLM, given), given.body.eval()
    whole = AutoModelForMaskedLM.from_config(given.source.config).eval()
    whole.load_state_dict(
        {f"bert.{k}": v for k, v in body.model.state_dict().items()}
        | objective.head.model.state_dict(),
        strict=False,
    )
    whole.tie_weights()
    batch = objective.collate(ROWS, rng())
    labels = torch.full_like(batch.inputs.input_ids, -100)
    labels[batch.targets["indices"]] = batch.targets["tokens"]
    expected = whole(
        input_ids=batch.inputs.pad(batch.inputs.input_ids, 1),
        attention_mask=batch.inputs.mask.long(),
        labels=batch.inputs.pad(labels, -100),
    ).loss
    assert_close(mean_loss(objective, body, ROWS), expected, rtol=1e-5, atol=1e-5)


def test_mlm_of_a_batch_without_a_masked_token_is_zero(given: TinyContext):
    objective = make(MLM, given, mask_prob=1e-9)
    batch = objective.collate(ROWS, rng())
    assert batch.items == 0
    loss = objective.loss(given.body(batch.inputs), batch).total
    loss.backward()
    assert loss == 0


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"mask_prob": 0.0}, "objectives.mine.mask_prob must be in (0, 1], got 0.0."),
        (
            {"mask_share": 0.7, "random_share": 0.4},
            "sum to at most 1, got 0.7 and 0.4.",
        ),
    ],
)
def test_mlm_refuses_shares_that_are_none(given: TinyContext, options: dict[str, float], line: str):
    with pytest.raises(ConfigError) as caught:
        MLM(MLMOptions(**options), given)
    assert line in str(caught.value)


def test_mlm_needs_a_mask_token(given: TinyContext):
    given.tokenizer.mask_token = None
    with pytest.raises(ModelError, match=r"objectives\.mine needs a mask token, and the model"):
        MLM(MLMOptions(), given)


def test_classification_scores_as_the_paper_does(given: TinyContext):
    objective = make(Classification, given)
    outputs = torch.eye(3)[[0, 0, 1, 1]]
    scores = objective.score(outputs, [{"label": label} for label in (0, 1, 1, 1)])
    # F1 of class 0: 2/3; of class 1: 4/5; class 2 neither occurs nor is predicted.
    assert scores == {"macro_f1": pytest.approx((2 / 3 + 4 / 5) / 2), "accuracy": 0.75}


def test_classification_order_of_rows_does_not_matter(given: TinyContext):
    objective, body = make(Classification, given), given.body.eval()
    assert_close(mean_loss(objective, body, ROWS), mean_loss(objective, body, ROWS[::-1]))


def test_label_smoothing_is_an_option(given: TinyContext):
    plain = make(Classification, given)
    smooth = Classification(ClassificationOptions(label_smoothing=0.3), given).eval()
    smooth.load_state_dict(plain.state_dict())
    body = given.body.eval()
    assert mean_loss(smooth, body, ROWS) != mean_loss(plain, body, ROWS)


@pytest.mark.parametrize("first", [True, False])
def test_a_head_that_looks_at_more_than_the_first_token_wants_them_all(
    first: bool, given: TinyContext, monkeypatch: pytest.MonkeyPatch
):
    class Mean(torch.nn.Module):
        def forward(self, hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            return (hidden * mask[..., None]).sum(1)[:, :2] / mask.sum(1, keepdim=True)

    if not first:
        monkeypatch.setattr(type(given), "head", lambda *_, **__: Mean())
    batch = make(Classification, given).collate(ROWS, rng())
    assert (batch.inputs.wanted is not None) == first
