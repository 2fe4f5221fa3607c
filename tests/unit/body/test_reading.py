"""Only wanted hidden states are computed, and they are the same."""

import pytest
import torch
from torch import nn
from transformers import AutoModel

from support.closeness import assert_same
from tartan.body import Body
from tartan.testing import PACKED_FAMILIES, PADDED_FAMILIES, tiny_config, tiny_source

WANTED = torch.tensor([0, 7, 8, 30, 31, 122])
NARROWS = ("bert", "roberta", "electra", "xlm-roberta", "camembert")


def computed(body, packed):
    """Return how many tokens the last feed-forward part computes."""
    widths = []
    last = [m for m in body.model.modules() if type(m).__name__.endswith("Intermediate")][-1]
    hook = last.register_forward_hook(lambda *given: widths.append(given[2].shape[1]))
    body(packed)
    hook.remove()
    return widths


@pytest.mark.parametrize("family", [*PACKED_FAMILIES, *PADDED_FAMILIES])
def test_wanted_states_and_their_gradients_are_those_of_a_complete_pass(family, packed):
    body = tiny_source(family).body().eval()
    hidden = body(packed)[WANTED]
    weight = torch.randn(hidden.shape)
    (hidden * weight).sum().backward()
    expected = {name: p.grad.clone() for name, p in body.named_parameters()}
    body.zero_grad()
    found = body(packed.want(WANTED))
    assert found.shape == (packed.input_ids.numel(), body.hidden_size)
    assert_same(found[WANTED], hidden)
    (found[WANTED] * weight).sum().backward()
    for name, parameter in body.named_parameters():
        assert_same(parameter.grad, expected[name])


@pytest.mark.parametrize("family", [f for f in PACKED_FAMILIES if f in NARROWS])
def test_berts_last_layer_computes_what_is_wanted_and_no_more(family, packed):
    body = tiny_source(family).body()
    assert computed(body, packed.want(WANTED)) == [len(WANTED)]
    assert computed(body, packed) == [128]  # the tokens, 123, and a few that fill up


def test_nothing_may_be_wanted(body, packed):
    none = torch.empty(0, dtype=torch.int64)
    found = body(packed.want(none))
    assert not found.any()
    found.sum().backward()


def test_a_layer_in_which_tokens_meet_after_attention_computes_them_all(packed):
    class Meeting(nn.Module):
        def forward(self, attended, states):
            return attended + states.mean(1, keepdim=True)

    model = AutoModel.from_config(tiny_config("bert"))
    model.encoder.layer[-1].attention.output = Meeting()
    body = Body(model).eval()
    torch.testing.assert_close(body(packed.want(WANTED)), body(packed))


@pytest.mark.heavy
def test_compiled_layers_compute_them_all(body, packed):
    body.eval()
    expected = body(packed)
    body.compile_layers()
    torch.testing.assert_close(body(packed.want(WANTED)), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("family", "options", "can"),
    [
        ("bert", {}, True),
        ("modernbert", {"local_attention": 16}, False),
        ("modernbert", {"local_attention": 64}, False),
    ],
)
def test_windows_that_follow_the_layout_forbid_another_order(family, options, can):
    body = tiny_source(family, **options).body()
    assert (body.reason_against("places") is None) == can
    assert body.reason_against("backwards") is None  # distances stay as they are
