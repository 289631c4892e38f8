"""Proof that stored data is what the server wrote: its keys, and what is made with them."""

from memhost.integrity.keys import Keyring, Purpose

__all__ = ["Keyring", "Purpose"]
