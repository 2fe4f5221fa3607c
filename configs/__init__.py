"""Hydra configurations, installed as tartan.configs."""
