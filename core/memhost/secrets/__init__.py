"""Secrets in texts: found, and masked so that equal ones are seen as equal."""

from memhost.secrets.detector import Extra, Secret, find_secrets
from memhost.secrets.masking import MASK, Findings, Masker, Policy, is_masked, mask_secrets
from memhost.secrets.records import masked_record

__all__ = [
    "MASK",
    "Extra",
    "Findings",
    "Masker",
    "Policy",
    "Secret",
    "find_secrets",
    "is_masked",
    "mask_secrets",
    "masked_record",
]
