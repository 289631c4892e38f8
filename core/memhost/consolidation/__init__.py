"""Long-term memory kept small: duplicates in meaning, compaction, forgetting."""
