"""The version of memhost and of its plugin interface."""

__version__ = "0.1.0"

API_VERSION = 1
"""Raised when a hook, port or spec changes in a way that an existing plugin can notice."""
