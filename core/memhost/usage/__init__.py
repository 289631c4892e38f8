"""Calls of models: metered, charged, kept within budgets, reported."""
