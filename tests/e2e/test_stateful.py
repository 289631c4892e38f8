"""Random sequences of calls against a host and an independent model: both must agree at every step."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from memhost.errors import MemhostError
from memhost.host import Host
from memhost.models import Caller, Scope
from memhost.testing.clock import FakeClock
from tests.support.contract_model import DATE_FIELDS, TAG_FIELDS, Key, Model, RefusedError
from tests.support.hosts import run, running_host

T = TypeVar("T")

EXAMPLES = int(os.environ.get("STATEFUL_EXAMPLES", "60"))
STEPS = 40

USERS = ("", "ana", "Ana", "a:b")
NAMESPACES = ("", "n", "N", "n:a", "ana")
SESSIONS = ("s", "S", "s:1", "t")
IDS = ("m1", "M1", "m2", "m3", "m:4", "ü5")
TAGS = ("food", "Food", "foodie", "straße", "STRASSE", "tea time", "x_y%")
TYPES = ("semantic", "episodic", "message")
STRATEGIES = ("discrete", "summary")
MOMENTS = tuple(datetime(2025, 5, day, 10, 0, 0, part, tzinfo=UTC) for day in (1, 2, 3) for part in (250_000, 250_001))
VALUES = {
    "session_id": SESSIONS,
    "user_id": USERS[1:],
    "namespace": NAMESPACES[1:],
    "topics": (*TAGS, "foo", "FO"),
    "entities": TAGS,
    "extraction_strategy": STRATEGIES,
    "memory_type": TYPES,
}

KEYS: tuple[Key, ...] = (
    ("", "", "s"),
    ("", "ana", "s"),
    ("ana", "", "s"),
    ("n", "ana", "s"),
    ("N", "ana", "s"),
    ("n", "Ana", "s"),
    ("n", "a:b", "s"),
    ("n:a", "b", "s"),
    ("n", "ana", "S"),
    ("", "ana", "s:1"),
)
keys = st.sampled_from(KEYS)
part_keys = st.one_of(keys, keys.map(lambda key: ("", key[1], key[2])), keys.map(lambda key: (key[0], "", key[2])))
tag_lists = st.lists(st.sampled_from(TAGS), max_size=3)
moments = st.sampled_from(MOMENTS)
messages = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(("user", "assistant", "tool")), "content": st.sampled_from(("hello", "ä: ö", "x\ny"))},
        optional={"id": st.sampled_from(IDS), "created_at": moments},
    ),
    max_size=3,
)
session_fields = st.fixed_dictionaries(
    {},
    optional={
        "messages": messages,
        "context": st.sampled_from((None, "", "summary")),
        "data": st.sampled_from((None, {}, {"a": None, "b": [1, {"c": "x"}]})),
        "tokens": st.integers(0, 5),
        "ttl_seconds": st.sampled_from((None, -1, 0, 5, 60)),
    },
)
record_fields = st.fixed_dictionaries(
    {},
    optional={
        "user_id": st.sampled_from(USERS),
        "namespace": st.sampled_from(NAMESPACES),
        "session_id": st.sampled_from(SESSIONS),
        "topics": tag_lists,
        "entities": tag_lists,
        "memory_type": st.sampled_from(TYPES),
        "extraction_strategy": st.sampled_from(STRATEGIES),
        "created_at": moments,
        "last_accessed": moments,
        "event_date": moments,
        "pinned": st.booleans(),
    },
)
edits = st.fixed_dictionaries(
    {},
    optional={
        "text": st.just("fresh"),
        "user_id": st.sampled_from((None, *USERS)),
        "namespace": st.sampled_from((None, *NAMESPACES)),
        "session_id": st.sampled_from((None, "", *SESSIONS)),
        "topics": st.lists(st.sampled_from(TAGS), max_size=2, unique=True),
        "memory_type": st.sampled_from(TYPES),
        "event_date": moments,
        "pinned": st.booleans(),
    },
)


def tag_filters(name: str) -> st.SearchStrategy[dict[str, Any]]:
    value = st.sampled_from(VALUES[name])
    some = st.lists(value, min_size=1, max_size=3)
    maybe = st.lists(value, max_size=3)
    singles = {"eq": value, "ne": value, "not_eq": value}
    lists = {"any": maybe, "all": maybe, "in_": some, "not_in": some}
    if name in ("topics", "entities"):
        lists["none"] = some
    alone = [st.fixed_dictionaries({operator: operand}) for operator, operand in (singles | lists).items()]
    if name != "memory_type":
        prefix = st.one_of(value, value.map(lambda text: text[:1]), st.just(""))
        alone.append(st.fixed_dictionaries({"startswith": prefix}, optional={"eq": value}))
    both: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries({}, optional=singles | lists)
    return st.one_of(*alone, both)


def date_filters() -> st.SearchStrategy[dict[str, Any]]:
    bounds = dict.fromkeys(("gt", "gte", "lt", "lte"), moments)
    inclusive = st.sampled_from(("both", "neither", "left", "right"))
    pair = st.lists(moments, min_size=2, max_size=2).map(sorted)
    proper = st.fixed_dictionaries({"between": pair, "inclusive": inclusive})
    between = st.fixed_dictionaries(
        {"between": st.lists(moments, min_size=1, max_size=3)},
        optional={"inclusive": inclusive, "lte": moments},
    )
    single = [st.fixed_dictionaries({operator: moments}) for operator in ("eq", "ne", *bounds)]
    return st.one_of(*single, st.fixed_dictionaries({}, optional=bounds), between, proper, proper)


all_filters: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    **{name: tag_filters(name) for name in (*TAG_FIELDS, "memory_type")},
    **{name: date_filters() for name in DATE_FIELDS},
}
filters = st.lists(st.sampled_from(sorted(all_filters)), max_size=3, unique=True).flatmap(
    lambda names: st.fixed_dictionaries({name: all_filters[name] for name in names})
)


def outcome(work: Callable[[], T]) -> T | str:
    """What the model says, or the code of its refusal."""
    try:
        return work()
    except RefusedError as refused:
        return refused.code


class World:
    """A running host with the loop it runs on; each example gets a tenant of its own."""

    def __init__(self, loop: asyncio.AbstractEventLoop, host: Host, clock: FakeClock) -> None:
        self.loop = loop
        self.host = host
        self.clock = clock
        self.tenants = itertools.count()


class Machine(RuleBasedStateMachine):
    """Calls the host and the model alike."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.model = Model()
        self.tenant = ""
        self.texts = itertools.count()

    @initialize(fields=st.lists(record_fields, min_size=4, max_size=len(IDS)))
    def new_tenant(self, fields: list[dict[str, Any]]) -> None:
        """A tenant with some memories, so that most filters have something to tell apart."""
        self.tenant = f"tenant-{next(self.world.tenants)}"
        self.create_memories(list(zip(IDS, fields, strict=False)), deduplicate=True)

    # -- helpers ---------------------------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        return self.world.clock.now()

    def call(self, name: str, user: str | None = None, **fields: Any) -> Any:
        """The answer, or the code of the error."""
        users = None if user is None else (user,)
        caller = Caller(subject="x", bounds=Scope(tenant=self.tenant, users=users), roles=frozenset({"admin"}))
        work: Coroutine[Any, Any, Any] = run(self.world.host, name, caller, **fields)
        try:
            return self.world.loop.run_until_complete(work)
        except MemhostError as error:
            return error.code

    def text(self) -> str:
        return f"fact number {next(self.texts)}"

    # -- sessions --------------------------------------------------------------------------------------

    @rule(key=keys, fields=session_fields)
    def put_session(self, key: Key, fields: dict[str, Any]) -> None:
        self.world.clock.advance(1)
        owners = {name: part for name, part in (("namespace", key[0]), ("user_id", key[1])) if part}
        answer = self.call("put_session", session_id=key[2], **owners, **fields)
        expected = outcome(lambda: self.model.put_session(key, fields, self.now))
        if isinstance(expected, str):
            assert answer == expected
        else:
            self.compare_session(answer, key, expected)
        self.get_session(key)

    @rule(key=part_keys)
    def get_session(self, key: Key) -> None:
        answer = self.call("get_session", session_id=key[2], namespace=key[0] or None, user_id=key[1])
        expected = outcome(lambda: self.model.get_session(key, self.now))
        if isinstance(expected, str):
            assert answer == expected
        else:
            self.compare_session(answer, *expected)

    def compare_session(self, answer: Any, key: Key, expected: Any) -> None:
        assert not isinstance(answer, str), answer
        assert (answer.namespace or "", answer.user_id or "", answer.session_id) == key
        assert [(message.role, message.content) for message in answer.messages] == expected.fields["messages"]
        assert answer.context == expected.fields["context"]
        assert (answer.data or {}) == (expected.fields["data"] or {})
        assert answer.tokens == expected.fields["tokens"]
        assert answer.ttl_seconds == expected.ttl
        assert answer.created_at == expected.created_at
        assert answer.updated_at == expected.updated_at

    @rule(key=part_keys)
    def delete_session(self, key: Key) -> None:
        answer = self.call("delete_session", session_id=key[2], namespace=key[0], user_id=key[1] or None)
        refused = outcome(lambda: self.model.delete_session(key, self.now))
        assert (answer if refused else answer.status) == (refused or "ok")

    @rule(namespace=st.sampled_from(NAMESPACES), user=st.sampled_from(USERS), limit=st.integers(1, 4))
    def list_sessions(self, namespace: str, user: str, limit: int) -> None:
        expected = self.model.list_sessions(namespace, user, self.now)
        found: list[str] = []
        for offset in range(0, len(expected) + limit, limit):
            page = self.call("list_sessions", namespace=namespace, user_id=user, limit=limit, offset=offset)
            assert page.total == len(expected)
            found += page.sessions
        assert found == expected

    @rule(seconds=st.sampled_from((1, 4, 5, 30, 60)))
    def wait(self, seconds: int) -> None:
        self.world.clock.advance(seconds)

    # -- memories --------------------------------------------------------------------------------------

    @rule(
        given=st.lists(st.tuples(st.sampled_from(IDS), record_fields), max_size=3, unique_by=lambda pair: pair[0]),
        deduplicate=st.booleans(),
    )
    def create_memories(self, given: list[tuple[str, dict[str, Any]]], deduplicate: bool) -> None:
        records = [{"id": name, "text": self.text(), **fields} for name, fields in given]
        answer = self.call("create_memories", memories=records, deduplicate=deduplicate)
        refused = outcome(lambda: self.model.create(records, self.now))
        assert (answer if refused else answer.status) == (refused or "ok")

    @rule(index=st.integers(0, 5))
    def repeat_memory(self, index: int) -> None:
        """An exact repetition in the same scope is merged into the old record, which counts as accessed."""
        names = sorted(name for name, record in self.model.memories.items() if record["memory_type"] != "message")
        if not names:
            return
        old = self.model.memories[names[index % len(names)]]
        same = {name: old[name] for name in ("text", "namespace", "user_id", "session_id", "memory_type")}
        again = f"again {self.text()}"
        assert self.call("create_memories", memories=[{"id": again, **same}]).status == "ok"
        assert self.call("get_memory", memory_id=again).id == names[index % len(names)]
        old["last_accessed"] = max(old["last_accessed"], self.now)

    @rule(name=st.sampled_from(IDS))
    def get_memory(self, name: str) -> None:
        answer = self.call("get_memory", memory_id=name)
        expected = self.model.memories.get(name)
        if expected is None:
            assert answer == "not_found"
        else:
            self.compare_memory(answer, expected)

    def compare_memory(self, answer: Any, expected: dict[str, Any]) -> None:
        assert not isinstance(answer, str), answer
        assert {name: getattr(answer, name) for name in expected} == expected
        assert answer.persisted_at is None

    @rule(name=st.sampled_from(IDS), changes=edits)
    def edit_memory(self, name: str, changes: dict[str, Any]) -> None:
        if "text" in changes:
            changes = changes | {"text": self.text()}
        answer = self.call("edit_memory", memory_id=name, **changes)
        expected = outcome(lambda: self.model.edit(name, changes, self.now))
        if isinstance(expected, str):
            assert answer == expected
        else:
            self.compare_memory(answer, expected)

    @rule(names=st.lists(st.sampled_from(IDS), max_size=3))
    def delete_memories(self, names: list[str]) -> None:
        answer = self.call("delete_memories", memory_ids=names)
        assert answer.status == f"ok, deleted {self.model.delete(names)} memories"

    @rule(
        several=st.lists(filters, min_size=1, max_size=4),
        limit=st.integers(1, 5),
        user=st.sampled_from((None, None, *USERS[1:])),
    )
    def list_memories(self, several: list[dict[str, Any]], limit: int, user: str | None) -> None:
        for wanted in several:
            self.list_by(wanted, limit, user)

    def list_by(self, wanted: dict[str, Any], limit: int, user: str | None) -> None:
        fields: dict[str, Any] = {**wanted, "recency_boost": False, "limit": limit}
        expected = outcome(lambda: self.model.search(wanted, user))
        if isinstance(expected, str):
            assert self.call("search_memories", user, **fields) == expected
            return
        found: list[str] = []
        offset: int | None = 0
        while offset is not None:
            page = self.call("search_memories", user, **fields, offset=offset)
            assert page.total == len(expected)
            assert all(hit.score is None and hit.dist == 0.0 for hit in page.memories)
            found += [hit.id for hit in page.memories]
            following = page.next_offset
            assert following == (offset + limit if offset + limit < len(expected) else None)
            offset = following
        assert sorted(found) == sorted(expected)

    @rule(wanted=filters, mode=st.sampled_from((None, "semantic", "hybrid")))
    def search_memories(self, wanted: dict[str, Any], mode: str | None) -> None:
        """Without a distance threshold every record that passes the filters is a hit, each once."""
        modes = {"search_mode": mode} if mode else {}
        answer = self.call("search_memories", **wanted, **modes, text="which fact?", recency_boost=False, limit=100)
        expected = outcome(lambda: self.model.search(wanted))
        if isinstance(expected, str):
            assert answer == expected
            return
        assert answer.total == len(expected)
        assert sorted(hit.id for hit in answer.memories) == sorted(expected)


_SQLITE = pytest.mark.full(
    "the same calls on SQLite; make test makes them in memory, and the stores' suite holds the rest"
)


@pytest.fixture(params=["memory", pytest.param("sqlite", marks=_SQLITE)])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    with asyncio.Runner() as runner:
        clock = FakeClock()
        stack = AsyncExitStack()
        options = {"INDEX_ALL_MESSAGES_IN_LONG_TERM_MEMORY": "false"}
        opening = running_host(tmp_path, store=request.param, clock=clock, settings=options, run_jobs=False)

        async def open_host() -> Host:
            return await stack.enter_async_context(opening)

        yield World(runner.get_loop(), runner.run(open_host()), clock)
        runner.run(stack.aclose())


def walk(world: World, examples: int) -> None:
    """So many walks of random calls; the first that disagrees is made small and shown."""
    run_state_machine_as_test(
        lambda: Machine(world),  # type: ignore[arg-type]
        settings=settings(
            max_examples=examples,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.timeout(400)  # a failure is made small before it is shown
def test_host_agrees_with_the_contract_whatever_is_called(world: World) -> None:
    walk(world, EXAMPLES)


@pytest.mark.soak("thirty times the walks of the test above")
@pytest.mark.timeout(3600)
def test_host_agrees_with_the_contract_for_long(world: World) -> None:
    walk(world, 30 * EXAMPLES)
