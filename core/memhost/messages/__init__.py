"""Messages of a session: turns, windows, tokens, and writes that happen at the same time."""
