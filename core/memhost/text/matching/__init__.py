"""Matchers that look at each text once: literals of patterns, and words of the model of languages."""
