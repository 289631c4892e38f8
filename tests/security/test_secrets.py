"""Secrets are masked on every way into the store, before anything is stored, indexed, logged or sent to a model.

The operations of the table are walked, so that no new one can forget it; the files of a store are read byte by byte.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from unittest.mock import AsyncMock

import httpx
import msgspec
import pytest
from msgspec import inspect

from memhost.admin.export_import import Header, Importer, MemoryLine, SessionLine
from memhost.errors import SecretFound
from memhost.host import Host
from memhost.http.app import build_app
from memhost.models import MemoryRecord, Message, SessionKey, StoredSession, WorkingMemory
from memhost.operations import Call, Operation, OperationTable
from memhost.plugins import PluginManager
from memhost.ports import Completion, Draft
from memhost.secrets import Masker
from memhost.secrets.masking import IDS
from memhost.settings import LlmSettings, load_configuration
from memhost.specs import StrategySpec
from memhost.usage.model_calls import ModelCalls, observed
from memhost_mcp import McpSettings
from memhost_mcp.catalog import Catalog
from memhost_mcp.tool_context import McpRequest
from tests.support.hosts import ADMIN, run, running_host
from tests.support.plugin_factory import make_plugin

TOKEN = "ghp_abcdefghijklmnopqrstuvwxyz0123456789"
PASSWORD = "hunter22!"
ADDRESS = f"postgres://app:{PASSWORD}@db.example/x"
NOW = datetime(2026, 1, 2, tzinfo=UTC)
DEPLOY = f"Deploy with {TOKEN} please"

OPERATIONS = [entry.spec for entry in PluginManager.load().operations]


def operations() -> list[Operation]:
    from memhost.host import core_operations

    return [*core_operations(), *OPERATIONS]


def filled(kind: inspect.Type, name: str, ids: bool) -> Any:
    """A value of that type in which each text holds a secret; of ids only where they shall."""
    if isinstance(kind, inspect.Metadata):
        return filled(kind.type, name, ids)
    if isinstance(kind, inspect.UnionType):
        rest = [each for each in kind.types if not isinstance(each, (inspect.NoneType,))]
        known = [each for each in rest if not (isinstance(each, inspect.CustomType) and "Unset" in str(each.cls))]
        order = (inspect.StrType, inspect.StructType, inspect.ListType, inspect.DictType)
        chosen = next((each for wanted in order for each in known if isinstance(_bare(each), wanted)), known[0])
        return filled(chosen, name, ids)
    if isinstance(kind, inspect.StrType):
        return (TOKEN if ids else "x") if name in IDS else DEPLOY
    if isinstance(kind, inspect.AnyType):
        return {"list": [DEPLOY]}
    if isinstance(kind, (inspect.ListType, inspect.VarTupleType)):
        return [filled(kind.item_type, name, ids)]
    if isinstance(kind, inspect.DictType):
        return {DEPLOY: filled(kind.value_type, "", ids)}
    if isinstance(kind, inspect.StructType):
        named = {field.name: name if name in IDS else field.name for field in kind.fields}  # a filter of ids holds ids
        return kind.cls(**{field.name: filled(field.type, named[field.name], ids) for field in kind.fields})
    return {
        inspect.IntType: 1,
        inspect.FloatType: 1.0,
        inspect.BoolType: True,
        inspect.DateTimeType: NOW,
    }.get(type(kind)) or (kind.values[0] if isinstance(kind, inspect.LiteralType) else _member(kind))


def _member(kind: inspect.Type) -> Any:
    return next(iter(kind.cls)) if isinstance(kind, inspect.EnumType) else None


def _bare(kind: inspect.Type) -> inspect.Type:
    return kind.type if isinstance(kind, inspect.Metadata) else kind


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    async with running_host(tmp_path, store="memory", run_jobs=False) as opened:
        yield opened


async def handed_on(host: Host, operation: Operation, request: msgspec.Struct) -> tuple[msgspec.Struct, Call]:
    """The request as the operation's handler gets it, and the call."""
    got: list[msgspec.Struct] = []

    async def handler(_host: Any, _call: Call, given: msgspec.Struct) -> None:
        got.append(given)

    host.operations = OperationTable([msgspec.structs.replace(operation, handler=handler, audited="")])
    call = Call(caller=ADMIN, request_id="test")
    await host.execute(operation.name, call, request)
    return got[0], call


@pytest.mark.parametrize("operation", operations(), ids=lambda operation: operation.name)
async def test_no_operation_sees_a_secret(host: Host, operation: Operation) -> None:
    request = filled(inspect.type_info(operation.request), "", ids=False)
    sent = msgspec.json.encode(request).decode()
    seen, call = await handed_on(host, operation, request)
    assert TOKEN not in msgspec.json.encode(seen).decode()
    assert call.masked == sent.count(TOKEN)
    assert [kind for kind, _ in call.notices] == (["secrets"] if call.masked else [])
    assert not any(TOKEN in sentence for _, sentence in call.notices)


def writes_with_ids() -> list[Operation]:
    return [each for each in operations() if each.access == "write" and IDS & {*each.request.__struct_fields__}]


@pytest.mark.parametrize("operation", writes_with_ids(), ids=lambda operation: operation.name)
async def test_secrets_in_ids_are_refused(host: Host, operation: Operation) -> None:
    request = filled(inspect.type_info(operation.request), "", ids=True)
    with pytest.raises(SecretFound) as caught:
        await handed_on(host, operation, request)
    assert TOKEN not in str(caught.value)
    assert all(problem.where for problem in caught.value.problems)


async def test_fields_with_exact_bytes_are_refused_or_kept(host: Host) -> None:
    operation = msgspec.structs.replace(host.operations["put_session"], exact=("context",))
    request = msgspec.convert({"session_id": "s", "context": DEPLOY}, operation.request)
    with pytest.raises(SecretFound, match="context"):
        await handed_on(host, operation, request)
    other = msgspec.convert({"session_id": "s", "messages": [{"role": "user", "content": DEPLOY}]}, operation.request)
    assert (await handed_on(host, operation, other))[1].masked == 1


# -- everything at once, down to the bytes --------------------------------------------------------------------------


def secret(number: int) -> str:
    return f"ghp_{number:02d}cdefghijklmnopqrstuvwxyz0123456789"


class Leaky:
    """A strategy that adds a secret to each turn."""

    name = "leaky"
    version = "1"
    immediate = True

    async def extract(self, turns: Sequence[Any], context: Any) -> list[Draft]:
        """One draft per turn."""
        return [
            Draft(
                text=f"Noted {secret(20)} of {turn.message.id}",
                source_ids=[turn.message.id],
                topics=[secret(21)],
                metadata={"token": secret(22)},
            )
            for turn in turns
        ]


async def _before_session_write(write: Any, context: Any) -> Any:
    write.content.data = {**(write.content.data or {}), "hook": secret(23)}
    return write


async def _before_memories_stored(memories: list[MemoryRecord], context: Any) -> list[MemoryRecord]:
    for record in memories:
        record.text += f" {secret(24)}"
        record.metadata = {**record.metadata, "hook": secret(25)}
    return memories


def leaky_plugin() -> Any:
    return make_plugin(
        "leaky",
        {
            "memhost_strategies": lambda: [StrategySpec(name="leaky", summary="Leaks.", build=lambda _given: Leaky())],
            "memhost_before_session_write": _before_session_write,
            "memhost_before_memories_stored": _before_memories_stored,
        },
    )


async def write_everything(host: Host) -> None:
    """Write secrets in all the ways there are."""
    record = {
        "id": "a",
        "text": f"Deploy with {secret(0)}",
        "user_id": "u",
        "topics": [secret(1)],
        "entities": [secret(2)],
        "metadata": {secret(3): "x", "k": [secret(4)], "password": PASSWORD},
    }
    await run(host, "create_memories", memories=[record])
    await run(host, "store_memories", memories=[{"text": f"Also {secret(5)}", "user_id": "u"}])
    await run(host, "edit_memory", memory_id="a", text=f"Now {secret(6)}", metadata={"n": secret(7)})
    call = {"id": "c1", "type": "function", "function": {"name": "push", "arguments": f'{{"token": "{secret(8)}"}}'}}
    messages: list[dict[str, Any]] = [
        {"id": "m1", "role": "user", "content": f"Use {secret(9)}", "name": secret(10)},
        {"id": "m2", "role": "assistant", "content": None, "tool_calls": [call]},
        {"id": "m3", "role": "tool", "content": [{"type": "text", "text": ADDRESS}], "tool_call_id": "c1"},
        {"id": "m4", "role": "user", "content": f"https://api.example.com/?token={secret(11)}"},
    ]
    strategy = {"strategy": "leaky"}
    await run(
        host,
        "put_session",
        session_id="s",
        user_id="u",
        messages=messages,
        memories=[{"text": f"Session {secret(12)}", "memory_type": "semantic"}],
        data={"env": {"DB_PASSWORD": PASSWORD, "list": [secret(13)]}},
        context=f"So far: {secret(14)}",
        long_term_memory_strategy=strategy,
    )
    await run(host, "change_session", session_id="s", user_id="u", append_messages=[{**messages[0], "id": "m5"}])
    await run(
        host,
        "create_summary_view",
        source="long_term",
        name=f"View {secret(15)}",
        group_by=["user_id"],
        filters={"topics": secret(16)},
    )
    await run(host, "search_memories", text=f"What of {secret(17)}?")
    await run(host, "memory_prompt", query=f"Where is {secret(18)}?", long_term_search=True)
    await import_everything(host)


async def import_everything(host: Host) -> None:
    """The same by the import of a file."""
    importer = Importer(
        store=host.store,
        embedder=host.embedder,
        tenant="default",
        clock=host.clock,
        masker=host.services.secrets,
    )
    times = {"created_at": NOW, "updated_at": NOW, "last_accessed": NOW}
    session = StoredSession(
        key=SessionKey("default", "", "u", "old"),
        content=WorkingMemory(
            messages=[Message(role="user", content=f"Was {secret(26)}", id="o1", created_at=NOW)], **cast("Any", times)
        ),
    )
    memory = MemoryRecord(id="old", text=f"Was {secret(27)}", metadata={"k": secret(28)}, **cast("Any", times))
    lines = [Header(created_at=NOW), SessionLine(session=session), MemoryLine(memory=memory, speaker=secret(29))]
    for number, line in enumerate(lines, start=1):
        await importer.feed(number, msgspec.json.encode(line))
    assert (await importer.finish()).masked >= 3


def bytes_in(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file())


async def test_no_byte_of_a_secret_is_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with running_host(tmp_path, extra=[leaky_plugin()]) as host:
        await write_everything(host)
        found = await run(host, "search_memories", limit=100)
        answers = msgspec.json.encode([found, await run(host, "get_session", session_id="s", user_id="u")]).decode()
        assert {"a", "old"} <= {memory.id for memory in found.memories}
        assert any("Noted" in memory.text for memory in found.memories)
    canaries = [*(secret(number) for number in range(30)), PASSWORD]
    kept = bytes_in(tmp_path)
    assert b"[secret:" in kept
    assert [canary for canary in canaries if canary.encode() in kept] == []
    assert [canary for canary in canaries if canary in answers] == []
    assert [canary for canary in canaries if canary in caplog.text] == []


# -- repetitions and preconditions ----------------------------------------------------------------------------------


async def test_the_same_message_again_changes_nothing(host: Host) -> None:
    message = {"id": "m", "role": "user", "content": DEPLOY, "created_at": "2026-01-02T00:00:00Z"}
    whole = {"session_id": "s", "messages": [message], "data": {"password": PASSWORD}, "context": ADDRESS}
    await run(host, "put_session", **whole)
    key = SessionKey("default", "", "", "s")
    before = await host.store.get_session(ADMIN.bounds, key, host.clock.now())
    memory = (await run(host, "search_memories", text="deploy")).memories[0]
    for _ in range(2):
        await run(host, "put_session", **whole)
    read = msgspec.to_builtins(await run(host, "get_session", session_id="s"))
    await run(host, "put_session", **{name: read[name] for name in whole})
    without_id = {name: value for name, value in message.items() if name not in ("id", "created_at")}
    await run(host, "put_session", **{**whole, "messages": [without_id]})
    after = await host.store.get_session(ADMIN.bounds, key, host.clock.now())
    assert before is not None
    assert after is not None
    assert after.turns == before.turns
    assert after.content.messages == before.content.messages
    assert after.content.data == before.content.data
    assert (await run(host, "get_memory", memory_id=memory.id)).updated_at == memory.updated_at


async def test_equal_secrets_are_seen_as_equal(host: Host) -> None:
    for name, text in (("a", f"The wifi password is {PASSWORD}"), ("b", f"The wifi password is {PASSWORD}")):
        await run(host, "store_memories", memories=[{"id": name, "text": text, "user_id": "u"}])
    other = await run(host, "store_memories", memories=[{"id": "c", "text": "The wifi password is hunter33!"}])
    assert other.results[0].status == "created"
    found = await run(host, "search_memories", user_id={"eq": "u"})
    assert len(found.memories) == 1
    named = await run(host, "search_memories", text=f"Where is {PASSWORD} used as a password?", search_mode="keyword")
    assert {memory.id for memory in named.memories} >= {found.memories[0].id}


# -- the policies, and what callers are told ------------------------------------------------------------------------


@asynccontextmanager
async def over_http(folder: Path, **settings: str) -> AsyncIterator[httpx.AsyncClient]:
    async with running_host(folder, store="memory", run_jobs=False, settings=settings) as host:
        app = build_app(host)
        transport = httpx.ASGITransport(app=cast("Any", app))
        async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            yield client


BODY: Mapping[str, Any] = {"memories": [{"id": "a", "text": DEPLOY, "metadata": {"k": TOKEN}}]}
MEMORIES = "/v1/long-term-memory/"


async def test_the_answer_counts_what_was_masked(tmp_path: Path) -> None:
    async with over_http(tmp_path) as client:
        answer = await client.post(MEMORIES, json=BODY)
        assert answer.json() == {"status": "ok", "secrets_masked": 2}
        notice = answer.headers["x-memhost-notice"]
        assert notice.startswith("secrets: 2 secrets were masked: memories.0.text (github token)")
        assert TOKEN not in notice
        plain = await client.post(MEMORIES, json={"memories": [{"id": "b", "text": "tea"}]})
        assert plain.json() == {"status": "ok"}
        assert "x-memhost-notice" not in plain.headers


@pytest.mark.parametrize("name", ["SECRETS", "SECRET_POLICY"])
async def test_secrets_are_refused_where_the_operator_wants_it(tmp_path: Path, name: str) -> None:
    async with over_http(tmp_path, **{name: "refuse"}) as client:
        answer = await client.post(MEMORIES, json=BODY)
        assert answer.status_code == 422
        assert [each["loc"][-3:] for each in answer.json()["detail"]] == [["memories", 0, "text"], [0, "metadata", "k"]]
        assert TOKEN not in answer.text
        assert (await client.get(f"{MEMORIES}a")).status_code == 404
        assert (await client.post(f"{MEMORIES}search", json={"text": DEPLOY})).status_code == 200


async def test_secrets_are_kept_where_the_operator_wants_it(tmp_path: Path) -> None:
    async with over_http(tmp_path, SECRETS="keep") as client:
        answer = await client.post(MEMORIES, json=BODY)
        assert answer.json() == {"status": "ok"}
        assert (await client.get(f"{MEMORIES}a")).json()["text"] == DEPLOY


async def test_further_kinds_are_an_option(tmp_path: Path) -> None:
    text = "Send it to DE89 3704 0044 0532 0130 00"
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        assert host.services.secrets.text(text) == text
    async with running_host(tmp_path, store="memory", run_jobs=False, settings={"SECRETS_ALSO": "iban"}) as host:
        assert "3704" not in host.services.secrets.text(text)


async def test_masks_stay_the_same_after_a_restart(tmp_path: Path) -> None:
    masks = set()
    for _ in range(2):
        async with running_host(tmp_path, run_jobs=False) as host:
            masks.add(host.services.secrets.text(DEPLOY))
    assert len(masks) == 1
    assert "[secret:" in masks.pop()


async def test_tools_of_agents_are_told_as_well(host: Host) -> None:
    catalog = Catalog(host, cast("McpSettings", host.configuration.section("interfaces", "mcp")))
    who = McpRequest(caller=ADMIN, request_id="r")
    told: list[str] = []
    await catalog.call(who, "store_memory", {"text": DEPLOY, "user_id": "u"}, None, told)
    assert len(told) == 1
    assert told[0].startswith("1 secret was masked: ")
    assert TOKEN not in told[0]
    found = await catalog.call(who, "search_memory", {"query": "deploy", "user_id": "u"})
    assert "[secret:" in msgspec.json.encode(found).decode()
    assert TOKEN not in msgspec.json.encode(found).decode()
    message = {"role": "user", "content": [{"type": "text", "text": DEPLOY}]}
    await catalog.call(who, "append_messages", {"session_id": "s", "user_id": "u", "messages": [message]}, None, told)
    assert len(told) == 2
    await catalog.call(who, "store_memory", {"text": "Likes tea", "user_id": "u"}, None, told)
    assert len(told) == 2


# -- models ---------------------------------------------------------------------------------------------------------


class Eavesdropper:
    """A language model that keeps what it is asked, and answers with a secret."""

    name = "eavesdropper"

    def __init__(self) -> None:
        self.asked: list[Any] = []

    async def complete(self, messages: Sequence[dict[str, Any]], **_: Any) -> Completion:
        """Answer."""
        self.asked += messages
        return Completion(text=f"You said {TOKEN}.", model=self.name)

    async def aclose(self) -> None:
        """Nothing."""


async def test_models_neither_read_nor_tell_secrets() -> None:
    model, ledger = Eavesdropper(), cast("Any", AsyncMock())
    calls = ModelCalls(llm=model, settings=LlmSettings(), ledger=ledger, masker=Masker(b"key"))
    asked = [{"role": "user", "content": [{"type": "text", "text": DEPLOY}, {"type": "text", "text": "plain"}]}]
    with observed() as seen:
        answer = await calls.complete(SessionKey("default", "", "", ""), asked, purpose="summary")
    assert answer.text.startswith("You said [secret:")
    assert TOKEN not in str(model.asked) + str(seen)
    assert TOKEN in str(asked)  # the caller's own stays as it is


# -- settings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "policy"),
    [
        ({}, "mask"),
        ({"SECRETS": "refuse"}, "refuse"),
        ({"MEMHOST_SECRETS": "KEEP"}, "keep"),
        ({"SECRET_POLICY": "keep"}, "keep"),
        ({"SECRET_POLICY": "drop"}, "refuse"),
        ({"SECRETS": "of another program"}, "mask"),
    ],
)
def test_the_policy_has_an_old_name(environ: dict[str, str], policy: str) -> None:
    assert load_configuration(environ=environ, env_file=None).settings.memory.secrets == policy


def test_the_policy_of_an_older_file_counts(tmp_path: Path) -> None:
    file = tmp_path / "memhost.toml"
    file.write_text('[extraction]\nsecret_policy = "keep"\n')
    found = load_configuration(environ={}, env_file=None, config_file=file)
    assert found.settings.memory.secrets == "keep"
    assert any("extraction.secret_policy is now memory.secrets" in sentence for sentence in found.warnings)
