"""The directory of inputs beside the project, which may be missing."""

from pathlib import Path

SHARED = Path(__file__).parents[3] / "shared"
