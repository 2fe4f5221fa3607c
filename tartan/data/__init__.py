"""Sources, corpora, tokenising and batches; the bundled demo task."""
