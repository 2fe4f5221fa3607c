"""The same measurements on a GPU host that reaches no package index."""
