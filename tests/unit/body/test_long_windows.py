"""Bodies with windowed attention read long texts packed, as the family itself reads each alone."""

import pytest
import torch
from transformers import AutoModel

from support.closeness import assert_same
from tartan.packed import Packed
from tartan.quiet import quiet
from tartan.testing import tiny_source


@pytest.mark.parametrize(
    ("family", "window"),
    [("modernbert", {"local_attention": 64}), ("mistral", {"sliding_window": 65})],
)
def test_windows_of_long_sequences_are_the_familys_own(family, window):
    lengths = (1500, 3, 700)
    source = tiny_source(family, max_position_embeddings=8192, **window)
    body = source.body().eval()
    assert body.reads_packed
    assert body.max_length == 8192
    ids = torch.randint(5, 60, (sum(lengths),), generator=torch.Generator().manual_seed(0))
    with quiet(), torch.no_grad():
        model = AutoModel.from_config(source.config).eval()
        model.load_state_dict(body.model.state_dict())
        own = [model(input_ids=part[None]).last_hidden_state[0] for part in ids.split(lengths)]
        assert_same(body(Packed(ids, lengths)), torch.cat(own))
