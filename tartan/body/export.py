"""Export a body and a head as a Hugging Face directory."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tartan.body.adapters import merged, save_adapter
from tartan.body.body import Body
from tartan.body.heads import LiftedHead, StandIn, borrow, own
from tartan.body.pooler import set_pooler
from tartan.body.source import ModelSource
from tartan.files import write_whole
from tartan.quiet import quiet


def export(
    body: Body,
    head: LiftedHead,
    tokenizer: PreTrainedTokenizerBase,
    directory: Path,
    card: str | None = None,
) -> None:
    """Write body, head and tokenizer so that plain transformers loads them.

    An existing directory is replaced. Weights are safetensors in float32; the configuration holds
    the head's labels; outputs are in the labels' own unit. The directory is written under another
    name and then renamed, so it is never incomplete. Body and head are unchanged afterwards.

    Args:
        body: the run's body.
        head: a head on it, from the same `ModelSource`.
        tokenizer: the body's tokenizer.
        directory: where to, in a directory that exists.
        card: the content of README.md; None to write none.

    Raises:
        StorageError: the directory cannot be written.
    """
    with reassembled(body, head) as model, quiet():

        def write(beside: Path) -> None:
            model.save_pretrained(beside)
            tokenizer.save_pretrained(beside)
            _write_card(card, beside)

        write_whole(directory, write)


@contextmanager
def reassembled(body: Body, head: LiftedHead) -> Iterator[PreTrainedModel]:
    """Put a body back into a head's model during a block; its outputs are in the labels' unit.

    It is then a model of plain transformers in float32: adapters are merged.
    """
    with head.in_label_units(), merged(body.model), _joined(body, head) as model:
        yield model


def export_adapter(
    body: Body, head: LiftedHead, source: ModelSource, directory: Path, card: str | None = None
) -> None:
    """Write adapters, head and tokenizer in peft's format, without the frozen weights.

    Args and errors are those of `export`; `source` is where body and head come from.
    """
    base = Path(str(source.name))
    base_name = str(base.resolve()) if base.is_dir() else str(source.name)
    trained = [name for name, parameter in head.model.named_parameters() if parameter.requires_grad]
    with head.in_label_units(), _joined(body, head) as model, quiet():
        weights = {name: model.get_parameter(name) for name in trained}

        def write(beside: Path) -> None:
            save_adapter(model, weights, source.lora, base_name, beside)
            source.tokenizer.save_pretrained(beside)
            _write_card(card, beside)

        write_whole(directory, write)


def _write_card(card: str | None, directory: Path) -> None:
    """Write the model card, if there is one."""
    if card is not None:
        (directory / "README.md").write_text(card, encoding="utf-8")


@contextmanager
def _joined(body: Body, head: LiftedHead) -> Iterator[PreTrainedModel]:
    """Put a body in the place of a head's stand-in during a block."""
    model, base = head.model, body.model
    prefix = model.base_model_prefix
    stand_in = getattr(model, prefix)
    assert isinstance(stand_in, StandIn)
    no_pooler = getattr(base, "pooler", None)
    lent = {name: base.get_parameter(source) for name, source in head.borrowed.items()}
    for name, parameter in lent.items():
        own(model, name, parameter)
    set_pooler(base, stand_in.pooler)
    setattr(model, prefix, base)
    try:
        yield model
    finally:
        setattr(model, prefix, stand_in)
        set_pooler(base, no_pooler)
        for name, parameter in lent.items():
            borrow(model, name, parameter)
