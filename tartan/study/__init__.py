"""Studies: several arms, the same seeds, one table."""
