"""Statements near a text: each way of being near finds what the others do not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memhost.memories.nearest import OF_EACH, nearest
from memhost.models import MemoryType, StoredMemory, WriteBatch
from memhost.testing.factories import START, after
from tests.support.dedup_hosts import SCOPE, judging_host, memory

STORES = pytest.mark.parametrize("store", ["memory", "sqlite"])
TEXT = "The Lisbon office opens on Monday."


FAR, NEARER, SAME = 90, 45, 0


def turned(memory: StoredMemory, degrees: float) -> StoredMemory:
    """The memory with a vector that is so far from that of the text."""
    vector = np.zeros(memory.vector.size if memory.vector is not None else 0, dtype=np.float32)
    vector[:2] = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return replace(memory, vector=vector)


async def near(folder: Path, store: str, **asked: Any) -> set[str]:
    """Ids that are near `TEXT`, of one of each kind, among statements that take all other places by meaning."""
    kinds: dict[str, tuple[int, dict[str, Any]]] = {
        "of-meaning": (SAME, {"text": "Die Niederlassung wird eingeweiht."}),
        "of-words": (FAR, {"text": "User rents a flat near the Lisbon office."}),
        "of-entity": (FAR, {"text": "User met Rui there.", "entities": ["Bairro Alto"]}),
        "of-subject": (FAR, {"text": "User commutes by tram.", "metadata": {"subject": "lisbon office"}}),
        "a-turn": (SAME, {"text": TEXT, "extraction_strategy": "message"}),
        "a-summary": (SAME, {"text": TEXT, "extraction_strategy": "summary"}),
        "a-message": (SAME, {"text": TEXT, "memory_type": MemoryType.MESSAGE}),
        "over": (SAME, {"text": TEXT, "valid_to": after(-10)}),
    }
    others = {f"other-{number}": (NEARER, {"text": f"Marigold {number} blooms."}) for number in range(OF_EACH)}
    async with judging_host(folder, store) as host:
        made = [turned(await memory(host, name, **told), far) for name, (far, told) in {**kinds, **others}.items()]
        await host.store.commit(SCOPE, WriteBatch(put_memories=made))
        vector = turned(made[0], SAME).vector
        found = await nearest(host.store, SCOPE, TEXT, vector, START, most=100, **asked)
    return {each.record.id for each in found} - others.keys()


@STORES
@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"subject": "holidays"}, set()),
        ({"subject": "lisbon office"}, {"of-subject"}),
        ({}, {"of-subject"}),  # the text names it
        ({"subject": "holidays", "entities": ["Bairro Alto"]}, {"of-entity"}),
        ({"subject": "holidays", "entities": ["Porto"]}, set()),
    ],
    ids=str,
)
async def test_each_way_of_being_near_finds_its_own(
    store: str, asked: dict[str, Any], found: set[str], tmp_path: Path
) -> None:
    assert await near(tmp_path, store, **asked) == {"of-meaning", "of-words", *found}
