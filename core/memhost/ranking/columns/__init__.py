"""Memories as columns: one array for each thing that the ranking reads of them, with one row for each memory."""

from memhost.ranking.columns.memories import Columns, Vectors
from memhost.ranking.columns.words import Vocabulary, Words

__all__ = ["Columns", "Vectors", "Vocabulary", "Words"]
