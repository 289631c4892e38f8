"""Preconditions of writes: the version and the content that a memory must have."""

from __future__ import annotations

from dataclasses import dataclass

from memhost.errors import MemoryChanged, Unsupported
from memhost.models import StoredMemory
from memhost.ports import KeepsHistory, Store


@dataclass(frozen=True, slots=True)
class Expected:
    """The version and the hash that a memory must have, where a request names them.

    Attributes:
        version: Its version; 0: there must be none. None: whatever it is.
        memory_hash: Its `memory_hash`; None: whatever it is.
    """

    version: int | None = None
    memory_hash: str | None = None

    @property
    def something(self) -> bool:
        """Tell whether anything is expected."""
        return self.version is not None or self.memory_hash is not None

    def check(self, memory_id: str, stored: StoredMemory | None) -> int:
        """Compare with what is stored; return the version that a write has to find, for `WriteBatch.if_versions`.

        Args:
            memory_id: Id of the memory.
            stored: What is stored of it inside the caller's bounds, None if nothing.

        Raises:
            MemoryChanged: It is not as expected.
        """
        version = stored.version if stored is not None else 0
        found = stored.record.memory_hash if stored is not None else None
        if self.version not in (None, version) or self.memory_hash not in (None, found):
            raise MemoryChanged([memory_id], {memory_id: version})
        return version


def require_versions(store: Store) -> None:
    """Return if the store can check what a write expects.

    Raises:
        Unsupported: It cannot.
    """
    if not isinstance(store, KeepsHistory):
        raise Unsupported("This store keeps no versions of memories: send neither if_version nor if_hash.")
