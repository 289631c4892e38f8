"""Commands that list, check and make plugins."""
