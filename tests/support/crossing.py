"""Many callers of several tenants, namespaces and users at once, with equal ids and equal texts: does anything cross?

Everything that is written carries the mark of its owner, in its text or in a field beside a text that all owners
share. Callers use every id that anybody has ever seen. An answer that holds the mark of an owner outside the
caller's bounds is a crossing, and so is a mark that lies in the store with another owner at the end.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from typing import Any

import msgspec

from memhost.errors import MemhostError
from memhost.host import Host
from memhost.models import Caller, Scope
from memhost.operations import Call
from memhost.testing.models import Asked

TENANTS = ("default", "acme")
NAMESPACES = ("", "red", "blue")
USERS = ("", "ann", "bob")
SESSIONS = ("s1", "s2")
IDS = tuple(f"k{number}" for number in range(6))
TEXTS = ("Likes green tea in the morning", "Moved to Lisbon last year", "Works on the harbour ferry", "Has two cats")
SETTINGS = {
    "LLM": "scripted",
    "EXTRACTION_DEBOUNCE_SECONDS": "0",
    "ENABLE_TOPIC_EXTRACTION": "false",
    "ENABLE_NER": "false",
}
"""Of hosts for this: with a language model (`tests.support.scripted`, answering with `echo`), and all that follows."""

_MARK = re.compile(r"zq[0-9]{2}q")
_LINE = re.compile(r'^\{"n":([0-9]+),', re.MULTILINE)
_CALLERS_AT_ONCE = 12

OWNERS = tuple(product(TENANTS, NAMESPACES, USERS))
MARKS: Mapping[tuple[str, str, str], str] = {owner: f"zq{number:02d}q" for number, owner in enumerate(OWNERS)}


class Crossing(msgspec.Struct, frozen=True):
    """What crossed: marks that the caller must not see, in the answer to a call."""

    where: str
    marks: list[str]
    text: str


class Report(msgspec.Struct, kw_only=True):
    """What a run did and found."""

    calls: int = 0
    codes: Counter[str] = msgspec.field(default_factory=Counter)
    crossings: list[Crossing] = []


class _Actor(msgspec.Struct, frozen=True, kw_only=True):
    caller: Caller
    owners: list[tuple[str, str, str]]
    marks: frozenset[str]


def echo(asked: Asked) -> str:
    """What the language model answers: the marks of its prompt, as a summary or as memories."""
    marks = " ".join(sorted(set(_MARK.findall(asked.prompt))))
    if "<messages>" not in asked.prompt:
        return f"They speak of {marks or 'this and that'}."
    fresh = asked.prompt[asked.prompt.rfind("<messages>") :]
    lines = [int(number) for number in _LINE.findall(fresh)]
    item = {"type": "semantic", "text": f"Noted {marks}", "lines": lines, "confidence": 0.9}
    return json.dumps({"memories": [item] if lines else []})


def actors() -> list[_Actor]:
    """One caller for each owner, and wider ones: of a namespace, of a user, of a tenant."""
    bounds = [
        Scope(tenant=tenant, namespaces=(space,), users=(user,)) for tenant, space, user in OWNERS if space and user
    ]
    for tenant in TENANTS:
        bounds += [Scope(tenant=tenant, namespaces=(space,)) for space in NAMESPACES[1:]]
        bounds += [Scope(tenant=tenant, users=(user,)) for user in USERS[1:]]
        bounds.append(Scope(tenant=tenant))
    found = []
    for number, scope in enumerate(bounds):
        owners = [owner for owner in OWNERS if owner[0] == scope.tenant and scope.allows(owner[1], owner[2], None)]
        roles = frozenset({"operator" if scope.whole else "writer"})
        caller = Caller(subject=f"caller-{number}", bounds=scope, roles=roles)
        found.append(_Actor(caller=caller, owners=owners, marks=frozenset(MARKS[owner] for owner in owners)))
    return found


_Move = tuple[float, str, Callable[[_Actor], Mapping[str, Any]]]


class Crowd:
    """Calls a host as all of them at once."""

    def __init__(self, host: Host, seed: int) -> None:
        self.report = Report()
        self._host = host
        self._random = random.Random(seed)
        self._actors = actors()
        self._memories: dict[str, None] = dict.fromkeys(IDS)
        self._views: dict[str, None] = {}
        self._tasks: dict[str, None] = {}
        self._moves: Sequence[_Move] = _moves(self)

    async def run(self, calls: int) -> Report:
        """Make that many calls; what crossed, in answers and in the store."""
        left = iter(range(calls))

        async def act() -> None:
            for _ in left:
                await self._call()

        async with asyncio.TaskGroup() as group:
            for _ in range(_CALLERS_AT_ONCE):
                group.create_task(act())
        for actor in self._actors:
            await self._look_through(actor)
        return self.report

    async def _call(self) -> None:
        weights = [weight for weight, _, _ in self._moves]
        _, name, make = self._random.choices(self._moves, weights)[0]
        actor = self._random.choice(self._actors)
        await self._execute(actor, name, make(actor))

    async def _execute(self, actor: _Actor, name: str, arguments: Mapping[str, Any]) -> Any:
        request = msgspec.convert(dict(arguments), self._host.operations[name].request)
        call = Call(caller=actor.caller, request_id="crossing")
        answer: Any = None
        self.report.calls += 1
        try:
            answer = await self._host.execute(name, call, request)
            text, code = msgspec.json.encode(answer).decode(), "ok"
        except MemhostError as error:
            text, code = error.message, error.code
        self.report.codes[f"{name}: {code}"] += 1
        self._note(f"{name} as {actor.caller.bounds}", actor.marks, text)
        self._learn(name, answer)
        return answer

    def _note(self, where: str, allowed: Iterable[str], text: str) -> None:
        if foreign := set(_MARK.findall(text)) - set(allowed):
            self.report.crossings.append(Crossing(where, sorted(foreign), text))

    def _learn(self, name: str, answer: Any) -> None:
        """Ids that came up, for anybody to try."""
        if answer is None:
            return
        if name == "search_memories":
            self._memories.update(dict.fromkeys(hit.id for hit in answer.memories))
        elif name == "create_summary_view":
            self._views[answer.id] = None
        elif name == "run_summary_view":
            self._tasks[answer.id] = None
        for pool in (self._memories, self._views, self._tasks):
            while len(pool) > 60:
                del pool[next(iter(pool))]

    async def _look_through(self, actor: _Actor) -> None:
        """All that the caller can read, owner by owner."""
        for owner in actor.owners:
            exact = {"namespace": {"eq": owner[1]}, "user_id": {"eq": owner[2]}} if owner[1] and owner[2] else {}
            await self._execute(actor, "search_memories", {"limit": 100, **exact})
        for memory_id in list(self._memories):
            await self._execute(actor, "get_memory", {"memory_id": memory_id})
        await self._execute(actor, "list_trash", {"limit": 500})
        found, _ = await self._host.store.list_memories(actor.caller.bounds, limit=100_000)
        for memory in found:
            record = memory.record
            owner = (actor.caller.bounds.tenant, record.namespace or "", record.user_id or "")
            self._note(f"memory of {owner}", {MARKS[owner]}, msgspec.json.encode(record).decode())

    # -- arguments -------------------------------------------------------------------------------------

    def pick(self, items: Iterable[Any]) -> Any:
        """Any of them; a word that names nothing if there is none."""
        return self._random.choice(tuple(items) or ("none",))

    def owned(self, actor: _Actor) -> tuple[dict[str, Any], str]:
        """An owner to write for: mostly inside the bounds; with the mark that what is written carries."""
        owner = self.pick(actor.owners if self._random.random() < 0.9 else OWNERS)
        bounds = actor.caller.bounds
        only = bounds.users[0] if bounds.users is not None and len(bounds.users) == 1 else ""
        # whoever writes to an owner's names in their own tenant writes to their own tenant's owner, and who is bound to
        # one user owns what names nobody
        mark = MARKS[bounds.tenant, owner[1], owner[2] or only]
        return {"namespace": owner[1] or None, "user_id": owner[2] or None}, mark

    def named(self) -> dict[str, Any]:
        """An owner to read, whoever asks; either part may be missing."""
        return {"namespace": self.pick(NAMESPACES) or None, "user_id": self.pick(USERS) or None}

    def memory_id(self) -> str:
        """The id of any memory that anybody has seen."""
        return str(self.pick(self._memories))

    def view_id(self) -> str:
        """The id of any view."""
        return str(self.pick(self._views))

    def task_id(self) -> str:
        """The id of any task."""
        return str(self.pick(self._tasks))

    def text(self, mark: str) -> str:
        """A text with the mark, or one that all owners share."""
        text = self.pick(TEXTS)
        return f"{text} {mark}" if self._random.random() < 0.5 else text

    def number(self, least: int, most: int) -> int:
        """A number."""
        return self._random.randint(least, most)


def _moves(crowd: Crowd) -> list[_Move]:
    """What callers do: how often, which operation, with which arguments."""
    return [*_session_moves(crowd), *_memory_moves(crowd), *_view_moves(crowd)]


def _session_moves(crowd: Crowd) -> list[_Move]:
    """Conversations as they go on."""

    def session(actor: _Actor) -> dict[str, Any]:
        owner, mark = crowd.owned(actor)
        messages = [
            {
                "id": f"t{crowd.number(0, 30)}",
                "role": crowd.pick(("user", "assistant")),
                "content": f"{crowd.pick(TEXTS)} {mark}",
                "created_at": "2026-01-02T03:04:05Z",
            }
            for _ in range(crowd.number(1, 3))
        ]
        return {"session_id": crowd.pick(SESSIONS), "messages": messages, "data": {"of": mark}, **owner}

    def part(actor: _Actor) -> dict[str, Any]:
        while True:  # an owner that is not fully named may mean another that the caller reaches as well
            made = session(actor)
            if made["namespace"] and made["user_id"]:
                return made

    def named_session(_actor: _Actor) -> dict[str, Any]:
        return {"session_id": crowd.pick(SESSIONS), **crowd.named()}

    return [
        (14, "put_session", session),
        (8, "change_session", part),
        (8, "get_session", named_session),
        (4, "list_sessions", lambda _actor: crowd.named()),
        (2, "delete_session", named_session),
        (1, "extract_session", lambda actor: {**named_session(actor), "wait_s": 0}),
    ]


def _memory_moves(crowd: Crowd) -> list[_Move]:
    """Memories from writing to the trash, and back."""

    def record(actor: _Actor) -> dict[str, Any]:
        owner, mark = crowd.owned(actor)
        return {"text": crowd.text(mark), "topics": [mark], "id": crowd.pick(IDS), "session_id": "s1", **owner}

    def unnumbered(actor: _Actor) -> dict[str, Any]:
        return {key: value for key, value in record(actor).items() if key != "id"}

    def change(_actor: _Actor) -> dict[str, Any]:
        return {"memory_id": crowd.memory_id(), "pinned": crowd.pick((True, False))}

    def search(_actor: _Actor) -> dict[str, Any]:
        filters = {key: {"eq": value} for key, value in crowd.named().items() if value}
        mode = crowd.pick(({}, {}, {"search_mode": "semantic"}, {"search_mode": "keyword"}))
        return {"text": crowd.pick((*TEXTS, crowd.pick(MARKS.values()))), "limit": 20, **filters, **mode}

    def prompt(_actor: _Actor) -> dict[str, Any]:
        asked = {"session_id": crowd.pick(SESSIONS), **crowd.named()}
        return {"query": crowd.pick(TEXTS), "session": asked, "long_term_search": crowd.pick((True, {"limit": 20}))}

    def forget(_actor: _Actor) -> dict[str, Any]:
        return {"policy": {"budget": crowd.number(2, 6)}, "dry_run": False, **crowd.named()}

    return [
        (8, "create_memories", lambda actor: {"memories": [record(actor), record(actor)]}),
        (6, "store_memories", lambda actor: {"memories": [unnumbered(actor)]}),
        (16, "search_memories", search),
        (6, "get_memory", lambda _actor: {"memory_id": crowd.memory_id()}),
        (4, "edit_memory", change),
        (3, "delete_memories", lambda _actor: {"memory_ids": [crowd.memory_id(), crowd.memory_id()], "report": True}),
        (8, "memory_prompt", prompt),
        (2, "forget_memories", forget),
        (0.2, "compact_memories", lambda _actor: {"report": True, **crowd.named()}),
        (2, "list_trash", lambda _actor: crowd.named()),
        (2, "restore_memories", lambda _actor: {"ids": [crowd.memory_id(), crowd.memory_id()]}),
    ]


def _view_moves(crowd: Crowd) -> list[_Move]:
    """Summary views, and what concerns all that an owner has."""

    def view(_actor: _Actor) -> dict[str, Any]:
        return {"source": "long_term", "group_by": crowd.pick((["user_id"], [], ["namespace", "user_id"]))}

    def group(_actor: _Actor) -> dict[str, Any]:
        groups: tuple[dict[str, str], ...] = ({"user_id": "ann"}, {}, {"namespace": "red", "user_id": "bob"})
        return {"view_id": crowd.view_id(), "group": crowd.pick(groups)}

    return [
        (1, "create_summary_view", view),
        (1, "list_summary_views", lambda _actor: {}),
        (1, "get_summary_view", lambda _actor: {"view_id": crowd.view_id()}),
        (0.5, "delete_summary_view", lambda _actor: {"view_id": crowd.view_id()}),
        (2, "run_summary_view_partition", group),
        (2, "list_summary_view_partitions", lambda _actor: {"view_id": crowd.view_id()}),
        (1, "run_summary_view", lambda _actor: {"view_id": crowd.view_id()}),
        (2, "get_task", lambda _actor: {"task_id": crowd.task_id()}),
        (
            0.3,
            "delete_user",
            lambda _actor: {"user_id": crowd.pick(USERS[1:]), "namespace": crowd.pick(NAMESPACES) or None},
        ),
        (0.5, "get_usage", lambda _actor: {"group_by": ["namespace", "user_id"]}),
    ]
