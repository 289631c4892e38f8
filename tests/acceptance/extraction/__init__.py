"""The acceptance set of extraction: conversations, scripted answers of a model, and what must be known afterwards."""
