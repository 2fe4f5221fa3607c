"""Stage, step, probe, optimiser, evaluation and checkpoint."""
