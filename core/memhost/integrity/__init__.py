"""Proof that stored data is what the server wrote: its keys, and what is made with them."""

from memhost.integrity.checking import ChainCheck, decode_change, encode_change, places_of, subject, unexplained
from memhost.integrity.keys import Keyring, Purpose
from memhost.integrity.seals import SIZE, Seals, TenantSeals

__all__ = [
    "SIZE",
    "ChainCheck",
    "Keyring",
    "Purpose",
    "Seals",
    "TenantSeals",
    "decode_change",
    "encode_change",
    "places_of",
    "subject",
    "unexplained",
]
