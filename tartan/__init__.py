"""Training with auxiliary objectives whose weights are learned while training."""
