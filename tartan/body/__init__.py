"""The shared encoder and Hugging Face heads on it."""
