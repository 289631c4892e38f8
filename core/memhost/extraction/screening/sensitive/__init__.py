"""Statements that an agent must not take from others than its user."""
