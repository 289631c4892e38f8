"""Answers of models, read whatever shape they come in."""
