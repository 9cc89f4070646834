"""Figures, one idea a file. Each takes a saved result or a live one and returns a matplotlib figure."""
