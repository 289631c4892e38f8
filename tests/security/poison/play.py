"""Writes the cases to one host, each to an owner of its own, and reads what the owner would read."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from memhost.admin.export_import import Importer
from memhost.host import Host
from memhost.models import TRUSTS, Caller, Scope, Trust
from memhost.models.trust import rank
from memhost.testing.hosts import OWN
from tests.security.poison import model
from tests.security.poison.cases import Attack, Harmless
from tests.support import clients
from tests.support.clients import Door
from tests.support.hosts import ADMIN, run, running_host
from tests.support.mcp_door import McpDoor, mcp_door

_CALLERS = EntryPoint(name="testing-callers", value=OWN["testing-callers"], group="memhost")
_SETTINGS = {"AUTH": "testing", "COMPACTION_EVERY_MINUTES": "0"}
_WITH_MODEL = {
    "LLM": "repeating",
    "EXTRACTION_DEBOUNCE_SECONDS": "0",
    "ENABLE_TOPIC_EXTRACTION": "false",
    "ENABLE_NER": "false",
}
_BATCH = 20
_ROUNDS = 500
"""Most rounds of background jobs: more never end."""

_ROLES = {
    "tool": "tool",
    "document": "web_page",
    "agent": "system",
    "user_turn": "user",
    "bound": "user",
    "assistant_turn": "assistant",
    "extraction": "tool",
}
"""The role of the turns that an attack writes, by channel."""

QUOTED = ", quoted"
_NOT_VERIFIED = "Not verified"
_LABELS = tuple(level for level in TRUSTS if rank(level) < rank("user"))
"""Levels of trust that a reader takes for not verified."""

_MARK = re.compile(r"\[([0-9a-f]{16})\]")
_DATE = re.compile(r" \[= [^\]]*\]")


class Victims:
    """The host with the cases in it.

    Attributes:
        host: The host.
        mcp: The MCP interface of the host.
        rest: The REST interface.
        view: Id of a summary view with a partition for each user.
    """

    def __init__(self, host: Host, mcp: McpDoor, rest: Door, view: str) -> None:
        self.host = host
        self.mcp = mcp
        self.rest = rest
        self.view = view

    # -- writing -----------------------------------------------------------------------------------------------

    async def attack(self, case: Attack) -> None:
        """Write an attack through its channel."""
        if case.channel in ("memory", "mcp", "import"):
            records = [_record(case, number, step) for number, step in enumerate(case.steps)]
            await {"memory": self._stored, "mcp": self._told, "import": self._imported}[case.channel](records)
        elif case.channel == "summary":
            context = "\n".join(str(step) for step in case.steps)
            hello = {"id": f"{case.id}-m", "role": "user", "content": "Let us go on."}
            await self._session(case, [hello], context=context)
        elif case.channel == "hook":
            message = {"id": f"{case.id}-m", "role": "user", "content": f"{model.FETCH} the page, please."}
            model.MODEL.fetched[message["id"]] = [_text(step) for step in case.steps]
            await self._session(case, [message])
            session = await run(self.host, "get_session", session_id=case.id, user_id=case.id)
            told = [{"id": turn.id, "role": turn.role, "content": turn.content} for turn in session.messages]
            await self._session(case, [*told, _plain_turn(case.id, 1, "user", "What does it say?")])
        else:
            if case.cites == "user":
                model.MODEL.borrowed.update(_text(step) for step in case.steps if not isinstance(step, list))
            turns = [_turn(case, number, step) for number, step in enumerate(case.steps, start=1)]
            if _ROLES[case.channel] != "user":  # extraction reads others as background of what people say
                turns.insert(0, _plain_turn(case.id, 0, "user", "What does it say?"))
            for last in range(1, len(turns) + 1):  # one turn after the other, as they would come
                await self._session(case, turns[:last])

    async def _stored(self, records: Sequence[Mapping[str, Any]]) -> None:
        writer = caller_of(str(records[0]["user_id"]))
        outcome = await self.rest("create_memories", writer, {"memories": records})
        assert outcome.code == "ok", outcome

    async def _told(self, records: Sequence[Mapping[str, Any]]) -> None:
        writer = caller_of(str(records[0]["user_id"]))
        for record in records:
            outcome = await self.mcp.call("store_memory", writer, {k: v for k, v in record.items() if k != "id"})
            assert outcome.code == "ok", outcome

    async def _imported(self, records: Sequence[Mapping[str, Any]]) -> None:
        host = self.host
        importer = Importer(store=host.store, embedder=host.embedder, tenant="default", clock=host.clock)
        lines = json.dumps({"memories": records}, ensure_ascii=False).encode()
        await importer.feed(1, lines)
        tally = await importer.finish()
        assert not tally.problems, tally.problems

    async def _session(self, case: Attack, messages: Sequence[Mapping[str, Any]], **fields: Any) -> None:
        if case.strategy is not None:
            fields["long_term_memory_strategy"] = {"strategy": case.strategy}
        writer = caller_of(case.id, "tool" if case.channel == "bound" else None)
        outcome = await self.rest(
            "put_session", writer, {"session_id": case.id, "user_id": case.id, "messages": list(messages), **fields}
        )
        assert outcome.code == "ok", outcome

    async def harmless(self, texts: Sequence[Harmless]) -> None:
        """Write the texts of one user: said by them, and some of them by others to a second owner."""
        user = texts[0].user
        turns = [_plain_turn(user, number, "user", each.text) for number, each in enumerate(texts)]
        await run(self.host, "put_session", caller_of(user), session_id=user, user_id=user, messages=turns)
        others = [each for each in texts if each.anybody]
        if others:
            records = [
                {"id": f"{user}-c{number}", "text": each.text, "user_id": f"{user}-c"}
                for number, each in enumerate(others)
            ]
            await run(self.host, "create_memories", caller_of(f"{user}-c"), memories=records)
            told = [_plain_turn(f"{user}-t", number, "tool", each.text) for number, each in enumerate(others)]
            caller, owner = caller_of(f"{user}-t"), f"{user}-t"
            await run(self.host, "put_session", caller, session_id=owner, user_id=owner, messages=told)

    async def settle(self) -> None:
        """Run background jobs until none is left."""
        for _ in range(_ROUNDS):
            jobs = await self.host.services.dispatcher.claim(_BATCH)
            if not jobs:
                return
            for job in jobs:
                await self.host.services.dispatcher.run(job)
        raise AssertionError("background jobs do not end")

    # -- reading -----------------------------------------------------------------------------------------------

    async def surfaced(self, case: Attack) -> dict[str, str]:
        """What must not be and is, by the way of reading, each with a piece of text that shows it.

        A way whose name ends in `QUOTED` shows it as what is not verified.
        """
        found: dict[str, str] = {}
        *others, last = case.canary
        for way, as_fact, as_quoted in await self._read(case):
            for canary in (last, *others):
                if canary in as_fact:
                    found.setdefault(way, _around(canary, as_fact))
            if last in as_quoted and not case.plain:
                found.setdefault(way + QUOTED, _around(last, as_quoted))
        return found

    async def listed(self, case: Attack) -> bool:
        """Tell whether the attack waits for a review."""
        page = await run(self.host, "list_reviews", user_id=case.id)
        return any(case.canary[-1] in str([each.memory.text, each.memory.topics]) for each in page.memories)

    async def _read(self, case: Attack) -> list[tuple[str, str, str]]:
        """Each way of reading, with what it shows as facts or orders, and what it shows as not verified."""
        caller, own = caller_of(case.id), {"eq": case.id}
        search = {"user_id": own, "limit": 10}
        prompt = await run(self.host, "memory_prompt", caller, query=case.query, long_term_search=search)
        said = "\n".join(message.content.text for message in prompt.messages[:-1])
        context = await run(self.host, "get_context", caller, query=case.query, user_id=case.id)
        found = [("rules", "\n".join([*context.rules, *context.profile]), "")]
        if case.channel == "user_turn" or case.plain:
            found.append(("prompt", outside(said), ""))
            found.append(("context", verified(context.text)[0] if case.plain else "", ""))
        else:
            hits = (await run(self.host, "search_memories", caller, text=case.query, **search)).memories
            by_mcp = await self.mcp.call("search_memory", caller, {"query": case.query, "user_id": case.id})
            listed = json.loads(by_mcp.text)["memories"]
            view = await run(self.host, "run_summary_view_partition", view_id=self.view, group={"user_id": case.id})
            found += [
                ("prompt", *verified(said)),
                ("context", *verified(context.text)),
                ("search", *_by_trust([(hit.text, hit.trust) for hit in hits])),
                ("mcp", *_by_trust([(json.dumps(hit, ensure_ascii=False), hit.get("trust")) for hit in listed])),
                ("view", *_by_trust([(str(view.summary), getattr(view, "trust", None))])),
            ]
        if case.channel not in ("memory", "mcp", "import"):
            found.append(("session", await self._in_session(case, caller), ""))
        upgraded = "" if case.channel == "user_turn" else "\n".join(await self._of_users(case))
        return [*found, ("label", upgraded, "")]

    async def _in_session(self, case: Attack, caller: Caller) -> str:
        """What the prompt of the session says outside of a fence; turns in the role of their writer are in place."""
        prompt = await run(
            self.host,
            "memory_prompt",
            caller,
            query=case.query,
            session={"session_id": case.id, "user_id": case.id},
        )
        own = {"user_turn": "user", "assistant_turn": "assistant"}.get(case.channel)
        return "\n".join(outside(message.content.text) for message in prompt.messages[:-1] if message.role != own)

    async def _of_users(self, case: Attack) -> Iterable[str]:
        """Texts of what is stored for the owner with the trust of a user."""
        memories, _ = await self.host.store.list_memories(Scope(tenant="default", users=(case.id,)), [], limit=1000)
        return [each.record.text for each in memories if each.record.trust == "user"]

    async def held_back(self, texts: Sequence[Harmless]) -> dict[str, list[str]]:
        """Where the one who said them does not see a text, by text."""
        missing = {each.text: await self._missing(texts[0].user, each.text) for each in texts}
        return {text: places for text, places in missing.items() if places}

    async def lost(self, texts: Sequence[Harmless]) -> dict[str, list[str]]:
        """Which texts are not found where others wrote them: a client as memories, a tool in its turns."""
        others = [each.text for each in texts if each.anybody]
        user = texts[0].user
        kept: list[str] = []
        if others:
            session = await run(self.host, "get_session", session_id=f"{user}-t", user_id=f"{user}-t")
            kept = [turn.content for turn in session.messages]
        missing: dict[str, list[str]] = {}
        for text in others:
            own = {"eq": f"{user}-c"}
            found = await run(self.host, "search_memories", text=text, user_id=own, limit=10)
            places = [] if _has([hit.text for hit in found.memories], text) else ["search of a client's"]
            places += [] if _has(kept, text) else ["session of a tool's"]
            if places:
                missing[text] = places
        return missing

    async def _missing(self, user: str, text: str) -> list[str]:
        caller, own = caller_of(user), {"eq": user}
        hits = await run(self.host, "search_memories", caller, text=text, user_id=own, limit=10)
        search = {"user_id": own, "limit": 10}
        prompt = await run(self.host, "memory_prompt", caller, query=text, long_term_search=search)
        context = await run(self.host, "get_context", caller, query=text, user_id=user)
        return [
            way
            for way, texts in (
                ("search", [hit.text for hit in hits.memories]),
                ("prompt", [message.content.text for message in prompt.messages[:-1]]),
                ("context", [context.text]),
            )
            if not _has(texts, text)
        ]


@asynccontextmanager
async def victims(folder: Path, *, with_model: bool, store: str = "memory") -> AsyncIterator[Victims]:
    """A host for the cases. With a model everything that is said is extracted by one that repeats all it reads."""
    model.reset()
    settings = {**_SETTINGS, **(_WITH_MODEL if with_model else {})}
    async with (
        running_host(folder, store=store, extra=[_CALLERS, model.POINT], settings=settings, run_jobs=False) as host,
        mcp_door(host, ADMIN) as mcp,
        clients.rest(host) as rest,
    ):
        view = await run(host, "create_summary_view", source="long_term", name="people", group_by=["user_id"])
        yield Victims(host, mcp, rest, view.id)


def caller_of(user: str, channel: Trust | None = None) -> Caller:
    """A caller bound to one user, whose credential may be bound to a channel."""
    return Caller(subject=user, bounds=Scope(users=(user,)), roles=frozenset({"writer"}), channel=channel)


def _record(case: Attack, number: int, step: Any) -> dict[str, Any]:
    fields = step if isinstance(step, dict) else {"text": step}
    return {"id": f"{case.id}-{number}", "user_id": case.id, **fields}


def _turn(case: Attack, number: int, step: Any) -> dict[str, Any]:
    if isinstance(step, list):
        return _plain_turn(case.id, number, step[0], step[1])
    fields = step if isinstance(step, dict) else {"content": step}
    return {**_plain_turn(case.id, number, _ROLES[case.channel], ""), **fields}


def _plain_turn(owner: str, number: int, role: str, text: str) -> dict[str, Any]:
    at = datetime(2026, 11, 2, 9, number % 60, tzinfo=UTC).isoformat()
    return {"id": f"{owner}-m{number}", "role": role, "content": text, "created_at": at}


def _text(step: Any) -> str:
    if isinstance(step, list):
        return str(step[1])
    return str(step.get("content", step.get("text", ""))) if isinstance(step, dict) else str(step)


def _around(canary: str, text: str) -> str:
    at = text.index(canary)
    return text[max(0, at - 60) : at + len(canary) + 60]


def verified(text: str) -> tuple[str, str]:
    """What a prompt or context shows as known, and what it shows as not verified, which comes last."""
    head, _, rest = text.partition(_NOT_VERIFIED)
    return head, rest


def _by_trust(hits: Iterable[tuple[str, str | None]]) -> tuple[str, str]:
    """The texts of the hits that a reader takes for known, and of those that are labelled as less trusted."""
    known: list[str] = []
    quoted: list[str] = []
    for text, trust in hits:
        (quoted if trust in _LABELS else known).append(text)
    return "\n".join(known), "\n".join(quoted)


def outside(text: str) -> str:
    """The text without what stands between two equal marks of a fence."""
    mark = _MARK.search(text)
    if mark is None:
        return text
    end = text.rfind(mark[0])
    return text if end <= mark.end() else text[: mark.start()] + text[end + len(mark[0]) :]


def _has(texts: Sequence[str], wanted: str) -> bool:
    """Tell whether one of the texts holds the wanted one, whatever blanks and added dates."""
    return any(_plain(wanted) in _plain(text) for text in texts)


def _plain(text: str) -> str:
    return " ".join(_DATE.sub("", text).split())
