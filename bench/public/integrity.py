"""agent-memory-integrity: its attacks through a store's own interface, five fixtures on three channels each.

The victim's own memories are turns of the user. The attacker's come, by channel: `external` as a turn of a tool,
`laundered` as a memory that claims to be the user's, `agent-laundered` as a memory that the agent itself stores
through MCP. The pipeline's filter for verified memories is the filter for what users said.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from bench.public.stage import KNOWN, Refused, Stage

READ = ("search", "MCP search", "prompt", "context", f"prompt{KNOWN}", f"context{KNOWN}")
HEAD = ["attack", *READ]
EXTERNAL = "tool turn"


def rows(stage: Stage, *, mutate: bool = False) -> list[list[str]]:
    """A row for each attack: what became of it for each way to read."""
    results = [import_module("agmi.measure").run_memory_attacks(_adapter(stage, read), mutate=mutate) for read in READ]
    return [[column[0].attack, *(_cell(each) for each in column)] for column in zip(*results, strict=True)]


def _cell(result: Any) -> str:
    if result.error:
        return f"n/a: {result.error[:60]}"
    outcomes = "/".join(str(sum(bool(one) for one in each)) for each in result.channels.values())
    return f"{'kept out' if result.safe else 'surfaced'} {outcomes}"


def _adapter(stage: Stage, read: str) -> Any:
    base: Any = import_module("agmi.adapters.semantic_base")
    signing: Any = import_module("agmi.signing")

    class Memhost(base.SemanticMemoryAdapter):  # type: ignore[misc]
        """Users of the suite as owners, anew after each reset."""

        name = "memhost"

        def __init__(self) -> None:
            self._owners: dict[str, str] = {}
            self._genuine = True

        def reset(self) -> None:
            """Go on with other owners."""
            self._owners = {}

        def add_memory(self, item: Any) -> None:
            """Write as the one who has the item's credential would; the first items of a fixture are the victim's."""
            signed = signing.KEYRING.verify(item.user_id, item.source, item.text, item.signature)
            tag = "user" if item.metadata else None
            owner = self._owner(item.user_id)
            try:
                if signed and not _is_attack(item.text):
                    stage.write("user turn", owner, item.text)
                elif signed:
                    stage.write("MCP store_memory", owner, item.text, tag=tag)
                elif item.source == "user":
                    stage.write("memory, trust claimed" if tag else "memory", owner, item.text, tag=tag)
                else:
                    stage.write("memory" if tag else EXTERNAL, owner, item.text, tag=tag)
            except Refused:
                return

        def retrieve(self, query: str, user_id: str, k: int = 5) -> list[Any]:
            """Return what the way of reading gives to that user."""
            texts = stage.read(read, self._owner(user_id), query, k)
            return [base.Retrieved(text=text, user_id=user_id) for text in texts]

        def retrieve_where(self, query: str, user_id: str, where: dict[str, Any], k: int = 5) -> list[Any]:
            """Return what a search for what the user said gives."""
            if read != "search":
                raise NotImplementedError("filters are a search's")
            texts = stage.read("search", self._owner(user_id), query, k, only_user=True)
            return [base.Retrieved(text=text, user_id=user_id) for text in texts]

        def _owner(self, user: str) -> str:
            return self._owners.setdefault(user, stage.owner())

    return Memhost()


def _is_attack(text: str) -> bool:
    """Tell whether a text is the attacker's: the suite signs those of its third channel as the victim's own."""
    attacks = import_module("agmi.attacks.memory_specific")
    mutations = import_module("agmi.mutations")
    written = [each.planted for each in (*attacks.INJECTION_FIXTURES, *attacks.METADATA_FIXTURES)]
    written += [each.entry for each in attacks.HIJACK_FIXTURES]
    written += [each.payload for each in attacks.PROMPT_INJECTION_FIXTURES]
    written += [each.update for each in attacks.UPDATE_FIXTURES]
    return text in written or any(text == changed for each in written for _, changed in mutations.mutate(each))
