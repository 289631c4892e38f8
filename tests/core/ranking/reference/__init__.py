"""The ranking memory by memory, as it was before it worked on columns: slow, and what the fast one is held against.

Its constants and patterns are those of the ranking itself; what is computed with them is written here again.
"""
