"""What is done with a finished run's model beside its directory: other formats, the hub."""

from pathlib import Path

from tartan.body.exported import load_model, load_tokenizer
from tartan.body.onnx import DIRECTORY, check_export, export_onnx
from tartan.config.schema import Config
from tartan.experiment.hub import check_hub, push
from tartan.report.record import MODEL


def check_publishing(config: Config) -> None:
    """ConfigError, before a run begins, where its model could not be exported or uploaded."""
    check_export(config.export)
    check_hub(config)


def publish(config: Config, directory: Path) -> list[str]:
    """Export and upload a run's model as its options say; return a line about each.

    A format that is there already is not written again.

    Raises:
        ModelError: the model cannot be exported.
        StorageError: a file or the hub cannot be written.
    """
    model, lines = directory / MODEL, []
    if not model.exists():
        return []
    if config.export == "onnx" and not (model / DIRECTORY).exists():
        trusted = bool(config.model.get("trust_remote_code", False))
        export_onnx(load_model(model, trusted), load_tokenizer(model, trusted), model)
        lines.append(f"exported: {model / DIRECTORY}")
    if config.push_to_hub:
        lines.append(f"uploaded: {push(model, config)}")
    return lines
