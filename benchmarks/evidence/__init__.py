"""The programs of docs/evidence.md: data, first stage, selection, baselines, explanations."""
