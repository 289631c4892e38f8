"""Search in long-term memory, and the memory prompt."""
