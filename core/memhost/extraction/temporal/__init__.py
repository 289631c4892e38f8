"""Dates and times in conversations."""
