"""Objectives that read a text as a set of tokens, in two parts, or by two of its spans."""

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch.testing import assert_close
from transformers import PreTrainedTokenizerFast

from support.context import ROWS, TinyContext
from tartan import CorpusOptions, TextBounds
from tartan_objectives.bow import Bow
from tartan_objectives.declutr import DeCLUTR, DeCLUTROptions, means
from tartan_objectives.sop import SOP


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_bow_scores_the_distinct_tokens_of_each_text(given: TinyContext):
    objective, body = Bow(CorpusOptions(), given).eval(), given.body.eval()
    rows = [{"input_ids": [0, 7, 7, 9, 2]}, {"input_ids": [0, 2]}, {"input_ids": [0, 11, 2]}]
    batch = objective.collate(rows, rng())
    hidden = body(batch.inputs)
    logits = objective.head(hidden[[0, 5, 7]][None])[0].log_softmax(1)
    expected = -(logits[0, 7] + logits[0, 9]) / 2 - logits[2, 11]
    assert batch.items == 3
    assert_close(objective.loss(hidden, batch).total, expected)


def test_sop_swaps_half_of_the_texts_at_a_word_near_the_middle(given: TinyContext):
    objective = SOP(CorpusOptions(), given)
    rows = [{"input_ids": [0, 10, 11, 12, 13, 14, 2]}] * 200 + [{"input_ids": [0, 9, 2]}]
    batch = objective.collate(rows, rng())
    assert batch.items == 200  # a text of one word cannot be divided
    texts = batch.inputs.input_ids[: 200 * 7].view(200, 7)
    swapped = batch.targets["swapped"]
    assert (texts[~swapped] == torch.tensor([0, 10, 11, 2, 12, 13, 2])).all()
    assert (texts[swapped] == torch.tensor([0, 12, 13, 2, 10, 11, 2])).all()
    assert swapped.float().mean() == pytest.approx(0.5, abs=0.12)


def test_the_first_token_does_not_tell_where_spaces_are_marked(given: TinyContext):
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(special_tokens=special, initial_alphabet=alphabet)
    texts = ["one two three four", "four one  two three six", "five six one"]
    backend.train_from_iterator(texts, trainer)
    backend.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), False, False)
    tokenizer = given.tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token="</s>", cls_token="<s>",
        sep_token="</s>", pad_token="<pad>", unk_token="<unk>", mask_token="<mask>",
    )  # fmt: skip
    rows = [{"input_ids": tokenizer(text)["input_ids"]} for text in texts] * 8
    batch = SOP(CorpusOptions(), given).collate(rows, rng())
    made = [tokenizer.decode(part) for part in batch.inputs.input_ids.split(batch.inputs.lengths)]
    assert batch.items == len(made) == 24
    for part, row, swapped in zip(made, rows, batch.targets["swapped"].tolist(), strict=True):
        one, two = part.removeprefix("<s>").removesuffix("</s>").split("</s>")
        assert not one.startswith(" ")
        assert not two.startswith(" ")
        first, second = (two, one) if swapped else (one, two)
        text = tokenizer.decode(row["input_ids"], skip_special_tokens=True)
        assert text.startswith(first)
        assert text[len(first) :].lstrip().startswith(second)
    lengths = zip(batch.inputs.lengths, rows, strict=True)
    assert all(length <= len(row["input_ids"]) for length, row in lengths)


def test_an_unknown_word_at_the_edge_of_a_text_belongs_to_the_text(given: TinyContext):
    """Around both spans or parts, it would tell which belong together and which stood first."""
    unknown = given.tokenizer.unk_token_id
    rows = [{"input_ids": [0, unknown, 10, 11, 12, 13, unknown, 2]}] * 40
    inputs = DeCLUTR(DeCLUTROptions(), given).collate(rows, rng()).inputs
    spans = [part.tolist() for part in inputs.input_ids.split(list(inputs.lengths))]
    assert any(unknown not in span for span in spans)
    assert all(span.count(unknown) < 2 or len(span) == 8 for span in spans)
    batch = SOP(CorpusOptions(), given).collate(rows, rng())
    texts = batch.inputs.input_ids.view(40, 8)
    swapped = batch.targets["swapped"]
    assert (texts[~swapped] == torch.tensor([0, unknown, 10, 2, 11, 12, 13, 2])).all()
    assert (texts[swapped] == torch.tensor([0, 11, 12, 13, 2, unknown, 10, 2])).all()


def test_an_added_token_that_is_also_the_unknown_one_is_no_text(given: TinyContext):
    """As in GPT-2's vocabulary, whose one special token has all roles."""
    given.tokenizer.unk_token = given.tokenizer.sep_token
    bounds = TextBounds(given)
    assert bounds([0, 2, 10, 2, 2]) == (1, 4)
    assert bounds([0, 2]) == (1, 1)
    assert bounds([7, 9]) == (0, 2)


def test_sop_never_makes_a_sequence_longer(given: TinyContext):
    batch = SOP(CorpusOptions(), given).collate(ROWS, rng())
    assert all(
        now <= len(row["input_ids"]) for now, row in zip(batch.inputs.lengths, ROWS, strict=True)
    )


def test_declutr_samples_spans_of_each_text_that_overlap_or_adjoin(given: TinyContext):
    objective = DeCLUTR(DeCLUTROptions(), given)
    rows = [{"input_ids": [0, *range(100 * n + 10, 100 * n + 70), 2]} for n in range(50)]
    inputs = objective.collate(rows, rng()).inputs
    parts = [part.tolist() for part in inputs.input_ids.split(list(inputs.lengths))]
    lengths = []
    for n, (anchor, positive) in enumerate(zip(parts[:50], parts[50:], strict=True)):
        for part in (anchor, positive):
            assert (part[0], part[-1]) == (0, 2)
            assert part[1:-1] == list(range(part[1], part[-2] + 1))
            assert 100 * n + 10 <= part[1] <= part[-2] < 100 * n + 70
        assert positive[1] <= anchor[-2] + 1
        assert positive[-2] >= anchor[1] - 1
        lengths.append((len(anchor) - 2, len(positive) - 2))
    means_ = torch.tensor(lengths).float().mean(0) / 60
    assert_close(means_, torch.tensor([4 / 6, 2 / 6]), atol=0.08, rtol=0)


def test_declutr_is_the_cross_entropy_of_each_spans_partner(given: TinyContext):
    objective, body = DeCLUTR(DeCLUTROptions(temperature=0.5), given), given.body.eval()
    batch = objective.collate(ROWS[:3], rng())
    hidden = body(batch.inputs)
    parts = hidden.split(list(batch.inputs.lengths))
    vectors = [part.mean(0) for part in parts]
    assert_close(means(hidden, batch.inputs), torch.stack(vectors))
    expected = torch.zeros(())
    for i in range(6):
        scores = torch.stack(
            [
                torch.cosine_similarity(vectors[i], vectors[j], dim=0) / 0.5
                for j in range(6)
                if j != i
            ]
        )
        partner = [j for j in range(6) if j != i].index((i + 3) % 6)
        expected = expected - scores.log_softmax(0)[partner]
    assert_close(objective.loss(hidden, batch).total, expected)
