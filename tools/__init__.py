"""Programs for people who work on tartan; none of this is installed with it."""
