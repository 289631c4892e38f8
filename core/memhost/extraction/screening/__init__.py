"""Prompts and texts that should not be followed or stored: injection, obfuscation, secrets."""
