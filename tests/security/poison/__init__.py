"""Attacks that plant something in memory, harmless texts that look like them, and a score of both."""
