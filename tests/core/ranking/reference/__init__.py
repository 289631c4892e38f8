"""The ranking memory by memory, as it was before it worked on columns: slow, and what the fast one is held against."""
