"""Export a run's body with the head of one of its MLM objectives, as a model to start from.

    python -m benchmarks.evidence.masked_lm RUN_DIR OBJECTIVE STEP DIRECTORY

A run exports its end task's model. A first stage that trains an encoder's MLM head needs the MLM
model instead: body and head as they were after STEP, from `checkpoints/checkpoint-STEP`.
"""

import sys
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from tartan.body import LiftedHead, export
from tartan.config.parse import parse
from tartan.config.store import register
from tartan.experiment.build import build
from tartan.plugins import discover
from tartan.train.checkpoint import Checkpoints


def export_masked_lm(run: Path, objective: str, step: int, directory: Path) -> None:
    """Write the model of an objective after a step of a run.

    Args:
        run: the run's directory, with the checkpoint of that step.
        objective: the name of an `mlm` objective of the run.
        step: the number of steps that had been taken.
        directory: where to; what is there is replaced.

    Raises:
        TartanError: the run cannot be built, or has no such checkpoint.
    """
    plugins = discover()
    register(plugins)
    composed = OmegaConf.load(run / ".hydra" / "config.yaml")
    assert isinstance(composed, DictConfig)
    experiment = build(parse(composed), plugins)
    model = experiment.setup.model
    checkpoints = Checkpoints(run / "checkpoints", keep=1)
    checkpoints.load(run / "checkpoints" / f"checkpoint-{step}", model)
    head = model.objective(objective).head
    assert isinstance(head, LiftedHead)
    export(model.body, head, experiment.texts.source.tokenizer, directory)


if __name__ == "__main__":
    run, objective, step, directory = sys.argv[1:]
    export_masked_lm(Path(run), objective, int(step), Path(directory))
