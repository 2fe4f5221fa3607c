"""First-party weightings, one file each."""
