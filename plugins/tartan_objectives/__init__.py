"""First-party objectives, one file each."""
