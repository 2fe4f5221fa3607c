"""Layers whose kernels are launched together: a pass through a body's layers as two CUDA graphs.

A small batch computes for less time than its hundreds of kernels take to launch one by one. A graph
launches all of them at once, but repeats what was recorded: shapes, addresses and constants. So
batches are laid out in few sizes (`Layout`) and weights have copies that stay in place
(`Bf16Layers`). A combination of sizes and modes is recorded the second time that it occurs. The
last layer is left out, because the number of tokens that it computes varies.

`layers` collects the calls of a pass and chooses how it is computed, `given` is what a pass is
given, `graph` one recorded combination, and `recorder` makes graphs.
"""

from tartan.body.graphs.given import Call
from tartan.body.graphs.layers import LayerGraphs
from tartan.body.graphs.recorder import Recorder

__all__ = ["Call", "LayerGraphs", "Recorder"]
