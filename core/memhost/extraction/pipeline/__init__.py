"""Extraction in the background: what waits, when it runs, what is stored."""
