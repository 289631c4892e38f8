"""Versions of memories, the log of all changes, and the proof that nobody else changed anything."""
