"""Hold out a share of the training split."""

import torch
from datasets import Dataset

from tartan.seeding import generator


def hold_out(rows: Dataset, share: float, seed: int) -> tuple[Dataset, Dataset]:
    """Split rows at random into those to train on and a held-out share of them.

    Args:
        rows: the training rows.
        share: of the rows to hold out, from 0 to below 1.
        seed: the run's.
    """
    order = torch.randperm(len(rows), generator=generator(seed, "held out")).tolist()
    count = round(share * len(rows))
    return rows.select(sorted(order[count:])), rows.select(sorted(order[:count]))
