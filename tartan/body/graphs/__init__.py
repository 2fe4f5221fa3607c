"""Layers whose kernels are launched together: a pass through a body's layers as two CUDA graphs.

A small batch computes for less time than its hundreds of kernels take to launch one by one. A graph
launches all of them at once, but repeats what was recorded: shapes, addresses and constants. So
batches are laid out in few sizes (`Layout`), weights have copies that stay in place (`Bf16Layers`),
and each combination is recorded when it occurs again. The last layer and what is before the first
stay outside, as numbers of wanted tokens vary.

`layers` collects the calls of a pass and chooses how it is computed, `given` is what a pass is
given, `graph` one recorded combination, and `recorder` makes graphs.
"""

from tartan.body.graphs.given import Call
from tartan.body.graphs.layers import LayerGraphs
from tartan.body.graphs.recorder import Recorder

__all__ = ["Call", "LayerGraphs", "Recorder"]
