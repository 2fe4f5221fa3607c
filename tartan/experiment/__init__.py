"""One run: from a configuration to a trained model and the files about it."""
