"""Benchmarks of the project's promises."""
