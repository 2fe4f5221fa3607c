"""Objectives composed of data, transform, attention and output (AANG: Dery et al., ICLR 2023).

arXiv:2205.14082, section 3. An objective reads a corpus, changes some of its tokens, reads the
result in an order, and predicts something from it.
"""

from tartan import Objective, hookimpl
from tartan_objectives.composed.objective import Composed
from tartan_objectives.composed.shuffled import Shuffled


@hookimpl
def tartan_objectives() -> dict[str, type[Objective]]:
    """Offer `composed` and `shuffled`."""
    return {"composed": Composed, "shuffled": Shuffled}
