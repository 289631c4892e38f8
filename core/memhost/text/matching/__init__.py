"""Patterns over texts, and what spares trying them."""
