"""What a run leaves: records, figures and console lines."""
