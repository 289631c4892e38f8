"""Search in long-term memory."""
