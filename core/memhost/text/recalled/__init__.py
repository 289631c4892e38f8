"""Recalled memories that come back inside a turn."""
