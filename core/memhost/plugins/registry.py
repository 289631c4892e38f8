"""Specs of one kind by name, each with the plugin it came from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

import msgspec

S = TypeVar("S")


class Registered(msgspec.Struct, Generic[S], frozen=True):
    """A spec, the entry point that offered it, and the distribution that holds it."""

    spec: S
    plugin: str
    distribution: str
    version: str

    @property
    def origin(self) -> str:
        """`entry-point (distribution version)`, as messages name a plugin."""
        return f"{self.plugin} ({self.distribution} {self.version})"


class Registry(Generic[S]):
    """Specs of one kind by the name that operators type."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._found: dict[str, Registered[S]] = {}

    def add(self, name: str, entry: Registered[S]) -> None:
        """Add a spec; its name must be free."""
        self._found[name] = entry

    def remove(self, plugin: str) -> None:
        """Remove all specs of a plugin."""
        self._found = {name: entry for name, entry in self._found.items() if entry.plugin != plugin}

    def get(self, name: str) -> Registered[S] | None:
        """The spec of that name, or None."""
        return self._found.get(name)

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted(self._found)

    def __iter__(self) -> Iterator[Registered[S]]:
        return iter([self._found[name] for name in self.names()])

    def __contains__(self, name: object) -> bool:
        return name in self._found

    def __len__(self) -> int:
        return len(self._found)
