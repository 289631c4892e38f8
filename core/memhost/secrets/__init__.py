"""Secrets in texts: found, and masked so that equal ones are seen as equal."""

from memhost.secrets.detector import Secret, find_secrets

__all__ = ["Secret", "find_secrets"]
