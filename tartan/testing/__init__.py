"""Shipped to plugin authors: tiny models."""
