"""Memories that wait for a review: which ones, where they are kept, and how somebody decides on them."""
