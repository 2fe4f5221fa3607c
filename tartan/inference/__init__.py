"""What a trained model is used for: predictions for new texts, evaluation, comparison."""
