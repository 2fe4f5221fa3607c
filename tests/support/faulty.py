"""A distribution of plugins that fail when a file named `fault` says how, and not without it."""

from pathlib import Path

MODULE = '''
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from tartan import Batch, Loss, Needs, Objective, Packed, Weighting, hookimpl

CALLS = Counter()


def fault(method):
    """The fault of a method where one is due now: `kind`, and `rows` it is in."""
    CALLS[method] += 1
    if not Path("fault").exists():
        return {}
    told = json.loads(Path("fault").read_text())
    due = told["method"] == method and CALLS[method] >= told.get("call", 0)
    if due and told["kind"] == "raise":
        raise LookupError("no such\\nthing")
    if due and told["kind"] == "allocate":
        torch.empty(1 << 50, dtype=torch.int8)
    return told if due else {}


@dataclass
class FaultyOptions:
    nothing: int = 0


class Faulty(Objective):
    """Predict 0 for every token. Its examples know their number."""

    Options = FaultyOptions

    def __init__(self, options, context):
        super().__init__(options, context)
        fault("init")
        rows = enumerate(context.corpus("task"))
        self._rows = [{"input_ids": row["input_ids"], "number": n} for n, row in rows]
        self.head = nn.Linear(context.hidden_size, 1)

    def examples(self):
        return self._rows

    def collate(self, rows, rng):
        fault("collate")
        packed = Packed.of([row["input_ids"] for row in rows])
        numbers = torch.tensor([row["number"] for row in rows for _ in row["input_ids"]])
        return Batch(packed, len(numbers), {"numbers": numbers})

    def loss(self, hidden, batch):
        told = fault("loss")
        scores = self.head(hidden).squeeze(1).float()
        if told:
            bad = torch.isin(batch.targets["numbers"], torch.tensor(told["rows"]))
            if told["kind"] == "loss":
                scores = torch.where(bad, torch.nan, scores)
            else:  # 0, but infinitely steep
                scores = scores.masked_scatter(bad, (scores[bad] * 0).sqrt())
        return Loss((scores**2).sum())


class Balky(Weighting):
    """Counts its updates."""

    Options = FaultyOptions
    needs = Needs.LOSSES

    def __init__(self, options, objectives):
        super().__init__(options, objectives)
        self.register_buffer("counts", torch.ones(len(objectives)))

    def weights(self):
        return self.counts / self.counts.sum()

    def update(self, signals):
        self.counts[0] += 0.5  # half of it done in place when it fails
        fault("update")
        self.counts[0] += 0.5


@hookimpl
def tartan_objectives():
    return {"faulty": Faulty}


@hookimpl
def tartan_weightings():
    return {"balky": Balky}
'''


def install(site: Path) -> Path:
    """Lay the distribution out as pip would; the directory to put on the path."""
    info = site / "tartan_faulty-1.2.dist-info"
    info.mkdir(parents=True)
    (site / "tartan_faulty.py").write_text(MODULE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tartan-faulty\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[tartan]\nfaulty = tartan_faulty\n")
    return site
