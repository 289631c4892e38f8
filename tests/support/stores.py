"""One test on each store that keeps a history."""

from __future__ import annotations

import pytest

STORES = pytest.mark.parametrize("store", ["memory", "sqlite", "redis"])
"""Gives a test `store`; the fixture `space` has the store's settings."""
