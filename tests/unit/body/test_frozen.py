"""Parts of a body that do not train."""

import pytest
from transformers import AutoModel

from tartan.body import AutoOptions, ModelSource
from tartan.body.frozen import freeze
from tartan.errors import ConfigError
from tartan.testing import save_tiny, tiny_config


def trained(directory, family, parts):
    """Return the first two parts of the names of the parameters that train."""
    if not directory.exists():
        save_tiny(directory, family, "CausalLM" if family in ("qwen3", "gpt2") else "MaskedLM")
    body = ModelSource.pretrained(AutoOptions(name=str(directory), freeze=parts)).body()
    return {name for name, p in body.model.named_parameters() if p.requires_grad}


@pytest.mark.parametrize(
    ("family", "embeddings", "layer"),
    [
        ("bert", "embeddings.", "encoder.layer.0."),
        ("distilbert", "embeddings.", "transformer.layer.0."),
        ("deberta-v2", "embeddings.", "encoder.layer.0."),
        ("modernbert", "embeddings.", "layers.0."),
        ("qwen3", "embed_tokens.", "layers.0."),
        ("gpt2", "wpe.", "h.0."),
        ("electra", "embeddings_project.", "encoder.layer.0."),
    ],
)
def test_embeddings_and_layers_are_frozen_by_name(family, embeddings, layer, tmp_path):
    everything = trained(tmp_path / "saved", family, [])
    left = trained(tmp_path / "saved", family, ["embeddings", "layers.0"])
    gone = everything - left
    assert any(name.startswith(embeddings) for name in gone)
    assert any(name.startswith(layer) for name in gone)
    assert not any(name.startswith((embeddings, layer)) for name in left)
    assert any(name.startswith(layer.replace("0", "1")) for name in left)
    assert not any(name.startswith(layer.replace("0", "1")) for name in gone)


@pytest.mark.parametrize(
    ("family", "last"),
    [
        ("albert", "encoder.embedding_hidden_mapping_in.bias"),
        ("mpnet", "embeddings.LayerNorm.bias"),
    ],
)
def test_a_family_whose_layers_are_not_marked_has_embeddings(family, last, tmp_path):
    gone = trained(tmp_path / "saved", family, []) - trained(
        tmp_path / "saved", family, ["embeddings"]
    )
    assert "embeddings.word_embeddings.weight" in gone
    assert last in gone
    assert not any("layer." in name or "layers." in name or "relative" in name for name in gone)
    with pytest.raises(ConfigError) as caught:
        trained(tmp_path / "saved", family, ["layers.0"])
    assert str(caught.value) == (
        f"model.freeze: {family} has no part 'layers.0', as transformers does not mark its layers: "
        "choose embeddings"
    )


def test_embeddings_inside_a_decoder_are_frozen():
    """OPT's model holds its embeddings, with their projection, beside its layers."""
    model = AutoModel.from_config(tiny_config("opt", word_embed_proj_dim=8, ffn_dim=32))
    freeze(model, ["embeddings"])
    assert {n for n, p in model.named_parameters() if not p.requires_grad} == {
        f"decoder.{name}.weight" for name in ("embed_tokens", "embed_positions", "project_in")
    }


def test_a_part_that_is_none_is_refused(tmp_path):
    for part in ("layers.2", "layers.1-2", "layers.1-0", "layer.0", "pooler"):
        with pytest.raises(ConfigError) as caught:
            trained(tmp_path / "saved", "bert", [part])
        assert str(caught.value) == (
            f"model.freeze: bert has no part '{part}': choose from embeddings, layers.0 to "
            "layers.1, and ranges such as layers.0-1"
        )


def test_a_body_with_nothing_to_train_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="leaves nothing of the body to train"):
        trained(tmp_path / "saved", "bert", ["embeddings", "layers.0-1"])
