"""The cost of a training step, compared with other implementations of the same step."""
