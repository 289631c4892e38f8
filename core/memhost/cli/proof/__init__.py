"""Commands on versions of memories, the log of changes, and the proof of what is stored."""
