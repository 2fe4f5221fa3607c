"""Typed schema, strict merge, and configuration to objects."""
