"""Causal language modelling is that of Hugging Face's causal models, within each sequence."""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close
from transformers import AutoModelForCausalLM

from support.context import ROWS, TinyContext
from tartan import Batch, CorpusOptions, ModelError, Packed
from tartan.body.export import reassembled
from tartan.quiet import quiet
from tartan.testing import tiny_source
from tartan_objectives.clm import CLM


def make(given: TinyContext) -> CLM:
    return CLM(CorpusOptions(), given).eval()


def collate(objective: CLM, rows=ROWS) -> Batch:
    return objective.collate(rows, torch.Generator())


@pytest.mark.parametrize("family", ["bert", "roberta", "electra"])
def test_logits_and_loss_are_those_of_the_familys_causal_model(family: str):
    given = TinyContext(tiny_source(family))
    objective, body = make(given), given.body.eval()
    config = tiny_source(family, is_decoder=True).config
    with quiet():
        causal = AutoModelForCausalLM.from_config(config).eval()
        with reassembled(body, objective.head) as model:
            causal.load_state_dict(model.state_dict())
    batch = collate(objective)
    hidden, labels = body(batch.inputs), batch.inputs.pad(batch.inputs.input_ids, -100)
    expected = causal(
        input_ids=batch.inputs.pad(batch.inputs.input_ids, 1),
        attention_mask=batch.inputs.mask.long(),
        labels=labels,
    )
    assert_close(objective.head(hidden[None])[0], batch.inputs.unpad(expected.logits))
    assert_close(objective.loss(hidden, batch).total / batch.items, expected.loss)


def test_each_token_predicts_the_next_of_its_own_sequence(given: TinyContext):
    batch = collate(make(given), [{"input_ids": ids} for ids in ([5, 6, 7], [8], [9, 10])])
    assert batch.inputs.causal
    assert batch.items == 3
    assert batch.targets["indices"].tolist() == [0, 1, 4]
    assert batch.targets["tokens"].tolist() == [6, 7, 10]


def test_sequences_of_one_token_have_nothing_to_predict(given: TinyContext):
    objective = make(given)
    batch = collate(objective, [{"input_ids": [5]}, {"input_ids": [6]}])
    total = objective.loss(given.body(batch.inputs), batch).total
    total.backward()
    assert (batch.items, total.item()) == (0, 0)


def test_accuracy_counts_the_tokens_that_are_likeliest(given: TinyContext):
    objective, body = make(given), given.body.eval()
    batch = collate(objective)
    hidden = body(batch.inputs)
    likeliest = objective.head(hidden[None])[0].argmax(1)[batch.targets["indices"]]
    right = replace(batch, targets={**batch.targets, "tokens": likeliest})
    assert objective.loss(hidden, right).metrics["accuracy"] == batch.items


def test_the_body_reads_both_ways_for_other_objectives(given: TinyContext):
    make(given)
    body, ids = given.body.eval(), torch.arange(5, 14)
    other = torch.cat([ids[:-1], ids.new_tensor([50])])
    assert not torch.allclose(body(Packed(ids, (9,)))[0], body(Packed(other, (9,)))[0])


def test_a_family_that_cannot_read_left_to_right_is_refused():
    with pytest.raises(ModelError, match=r"^deberta-v2 cannot read left to right \("):
        make(TinyContext(tiny_source("deberta-v2")))
