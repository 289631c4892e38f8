"""Recalled memories: the fence around them, and those that come back inside a turn."""
