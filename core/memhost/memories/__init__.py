"""Long-term memories: written, read, edited and deleted; repetitions, trust, trash."""
