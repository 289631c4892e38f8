"""Secrets in texts: found, and masked so that equal ones are seen as equal."""

from memhost.secrets.detector import Extra, Secret, find_secrets
from memhost.secrets.masking import MASK, Findings, Masker, Policy, mask_secrets

__all__ = ["MASK", "Extra", "Findings", "Masker", "Policy", "Secret", "find_secrets", "mask_secrets"]
