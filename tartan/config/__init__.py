"""Typed schema, overrides, parsing, and what Hydra's store holds."""
