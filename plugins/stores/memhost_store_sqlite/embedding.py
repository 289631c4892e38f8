"""Which embedder made the vectors of the file. Vectors of two embedders are never compared."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import apsw

from memhost.errors import StoreMismatch
from memhost.integrity import SIZE
from memhost.models import StoredMemory, Vector
from memhost.storekit import rules
from memhost_store_sqlite.connection import transaction


class Embedding:
    """The embedder this process uses: a name and a length, either None where the host names none."""

    def __init__(self, name: str | None, dimensions: int | None, path: Path) -> None:
        self._name = name
        self._dimensions = dimensions
        self._path = path

    def stored(self, connection: apsw.Connection) -> tuple[str | None, int | None]:
        """Embedder and dimensions of the vectors in the file."""
        found = connection.execute("SELECT key, value FROM settings WHERE key IN ('embedder', 'dimensions')")
        rows: dict[Any, Any] = {row[0]: row[1] for row in found}
        dimensions = rows.get("dimensions")
        return rows.get("embedder"), None if dimensions is None else int(dimensions)

    def claim(self, connection: apsw.Connection, *, reindex: bool) -> None:
        """Enter this embedder into a file without vectors, or refuse one with vectors of another.

        With `reindex`, vectors of another embedder are dropped; their memories have none until they are put again.

        Raises:
            StoreMismatch: The file holds vectors of another embedder.
        """
        if self._name is None and self._dimensions is None:
            return
        with transaction(connection):
            if self._agrees(self.stored(connection)):
                return
            if reindex:
                for table in ("vector_blocks", "vector_axes", "vectors"):
                    connection.execute(f"DELETE FROM {table}")  # noqa: S608
                # The second part of a proof says that there was a vector: nobody is to miss what was dropped here.
                connection.execute(
                    "UPDATE contents SET proof = substr(proof, 1, ?1) WHERE length(proof) > ?1",
                    (SIZE,),
                )
            elif connection.execute("SELECT EXISTS(SELECT 1 FROM vectors)").get:
                raise self._mismatch(self.stored(connection))
            self._enter(connection)

    def _enter(self, connection: apsw.Connection) -> None:
        for key, value in (("embedder", self._name), ("dimensions", self._dimensions)):
            connection.execute(
                "INSERT INTO settings VALUES(?, ?) ON CONFLICT(key) DO UPDATE SET value = excluded.value",
                (key, None if value is None else str(value)),
            )

    def _agrees(self, stored: tuple[str | None, int | None]) -> bool:
        return stored == (self._name, self._dimensions)

    def _mismatch(self, stored: tuple[str | None, int | None]) -> StoreMismatch:
        return rules.other_embedder(str(self._path), stored, (self._name, self._dimensions))

    def check(self, connection: apsw.Connection, memories: Iterable[StoredMemory]) -> None:
        """Refuse to store vectors of another embedder or length than the file's.

        Raises:
            StoreMismatch: Another process replaced the vectors since this one opened the file.
            ValueError: A vector has the wrong length.
        """
        lengths = {len(memory.vector) for memory in memories if memory.vector is not None}
        for length in lengths:
            self._check_length(connection, length)

    def check_query(self, connection: apsw.Connection, vector: Vector) -> None:
        """The same for a vector that is searched for."""
        self._check_length(connection, len(vector))

    def _check_length(self, connection: apsw.Connection, length: int) -> None:
        stored = self.stored(connection)
        if (self._name, self._dimensions) != (None, None) and not self._agrees(stored):
            raise self._mismatch(stored)
        if self._dimensions is not None and length != self._dimensions:
            raise ValueError(f"a vector has {length} dimensions, but the embedder gives {self._dimensions}")
