"""What a training step costs, measured side by side with other ways of taking the same step."""
