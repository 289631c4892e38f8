"""Checks that a feature is switched on before a service uses it."""

from __future__ import annotations

from memhost.errors import LongTermMemoryDisabled
from memhost.settings.schema import MemorySettings


def require_long_term_memory(settings: MemorySettings) -> None:
    """Return if long-term memory is on.

    Raises:
        LongTermMemoryDisabled: It is switched off.
    """
    if not settings.long_term_memory:
        raise LongTermMemoryDisabled("Long-term memory is switched off; set LONG_TERM_MEMORY=true to use it.")
