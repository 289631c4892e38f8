"""The chain of a memory, both ways, and what others may see of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from memhost.errors import NotFound
from memhost.host import Host
from tests.core.memories.test_cascade import (
    BRUGES,
    GHENT,
    HOMES,
    ROME,
    SUMMARY,
    delete,
    opened,
    plugin_made,
    put,
    says,
    stored,
)
from tests.support.extractions import derived, host_with_model, item, settled
from tests.support.hosts import bound_to, run, running_host
from tests.support.model_server import Call, ModelServer

STORES = pytest.mark.parametrize("storage", ["memory", "sqlite", "redis"], indirect=True)


@pytest.fixture
def storage(request: pytest.FixtureRequest) -> dict[str, str]:
    """Settings that choose a store."""
    space = request.getfixturevalue("redis_part").environment() if request.param == "redis" else {}
    return {"STORE": request.param, **space}


def related(memories: Any) -> list[tuple[str, str]]:
    return [(each.relation, each.text) for each in memories]


async def explain(host: Host, memory_id: str, *caller: Any) -> Any:
    return await run(host, "explain_memory", *caller, memory_id=memory_id)


@STORES
async def test_a_fact_shows_its_turns_its_run_and_what_it_replaced(
    models: ModelServer, tmp_path: Path, storage: dict[str, str]
) -> None:
    async with opened(models, tmp_path, HOMES, updates={BRUGES: GHENT, ROME: BRUGES}, settings=storage) as host:
        messages = [says("m1", "Ghent"), says("m2", "Bruges"), says("m3", "Rome")]
        for number in (1, 2, 3):
            await put(host, *messages[:number])
        known = await stored(host)
        chain = await explain(host, known[BRUGES].id)
        assert (chain.memory.text, chain.state, chain.made_by, chain.asked_for) == (
            BRUGES,
            "stored",
            "discrete/1",
            None,
        )
        (turn,) = chain.turns
        assert (turn.id, turn.text, turn.role, turn.session_id) == ("m2", "Bruges", "user", "s")
        assert turn.created_at.isoformat().startswith("2026-03-02")
        assert (chain.run.turns, chain.run.model) == (["m2"], "openai/test-model")
        assert related(chain.before) == [("replaced", GHENT)]
        assert related(chain.after) == [("newer", ROME)]
        assert related((await explain(host, known[GHENT].id)).after) == [("newer", BRUGES), ("newer", ROME)]
        of_turn = await explain(host, "m2")
        assert (of_turn.turns, related(of_turn.after)) == ([], [("statement", BRUGES)])


async def test_a_turn_shows_summaries_and_views(models: ModelServer, tmp_path: Path) -> None:
    def rule(_call: Call) -> Any:
        return {"memories": [{"text": "Ghent was discussed."}]}

    models.answer(rule)
    async with host_with_model(models, tmp_path, store="memory") as host:
        fields = {"session_id": "s", "user_id": "u", "long_term_memory_strategy": SUMMARY}
        await run(host, "put_session", messages=[says("m1", "Ghent")], **fields)
        await settled(host, "s", user_id="u")
        view = await run(host, "create_summary_view", source="long_term", group_by=["user_id"], name="Homes")
        await run(host, "run_summary_view_partition", view_id=view.id, group={"user_id": "u"})
        chain = await explain(host, "m1")
        assert related(chain.after) == [("summary", "Ghent was discussed.")]
        assert [(each.view_id, each.name, each.group) for each in chain.views] == [(view.id, "Homes", {"user_id": "u"})]
        assert not chain.in_summary


async def test_what_was_merged_is_shown_under_both_ids(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        for name in ("one", "two"):
            await run(host, "create_memories", memories=[{"id": name, "text": "User has a boat.", "user_id": "u"}])
        chain = await explain(host, "two")
        assert (chain.memory.id, chain.asked_for, chain.made_by, chain.run) == ("one", "two", "client", None)


async def test_what_the_trash_holds_is_explained(models: ModelServer, tmp_path: Path) -> None:
    async with opened(models, tmp_path, HOMES) as host:
        await put(host, says("m1", "Ghent"), says("m2", "hm"))
        (fact,) = await derived(host)
        await delete(host, "m1")
        chain = await explain(host, fact.id)
        assert (chain.memory.text, chain.state, chain.reason) == (GHENT, "trash", "unsupported")
        assert [(turn.id, turn.memory_id) for turn in chain.turns] == [("m1", None)]


async def test_what_plugins_made_is_shown_both_ways(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        await run(host, "create_memories", memories=[{"id": "one", "text": "fact one", "user_id": "u"}])
        made = await plugin_made(host, "of one", "one")
        assert related((await explain(host, "one")).after) == [("statement", "of one")]
        assert related((await explain(host, made)).before) == [("source", "fact one")]


async def test_turns_that_long_term_memory_does_not_keep_are_read_in_the_session(
    models: ModelServer, tmp_path: Path
) -> None:
    settings = {"STORE": "memory", "INDEX_ALL_MESSAGES_IN_LONG_TERM_MEMORY": "false"}
    async with opened(models, tmp_path, HOMES, settings=settings) as host:
        await put(host, says("m1", "Ghent"))
        (fact,) = await derived(host)
        (turn,) = (await explain(host, fact.id)).turns
        assert (turn.id, turn.text, turn.memory_id) == ("m1", "Ghent", None)
        await run(host, "delete_session", session_id="s", user_id="u")
        (turn,) = (await explain(host, fact.id)).turns
        assert (turn.id, turn.text) == ("m1", None)


async def test_messages_of_other_sessions_and_users_with_the_same_id_are_not_shown(
    models: ModelServer, tmp_path: Path
) -> None:
    async with opened(models, tmp_path, {**HOMES, "boat": [item("User has a boat.", "m1")]}) as host:
        await put(host, says("m1", "Ghent"))
        await put(host, says("m1", "boat"), session="t")
        await put(host, says("m1", "Rome"), user="v")
        for fact in await derived(host, user_id={"eq": "u"}):
            (turn,) = (await explain(host, fact.id)).turns
            assert turn.text == {"s": "Ghent", "t": "boat"}[fact.session_id or ""]
        turns = [record for record in (await stored(host)).values() if record.text == "user: Ghent"]
        assert related((await explain(host, turns[0].id)).after) == [("statement", GHENT)]


@pytest.mark.parametrize("bounds", [{"users": ("v",)}, {"sessions": ("t",)}, {"namespaces": ("work",)}])
async def test_others_see_nothing(models: ModelServer, tmp_path: Path, bounds: dict[str, Any]) -> None:
    async with opened(models, tmp_path, HOMES) as host:
        await put(host, says("m1", "Ghent"))
        (fact,) = await derived(host)
        for name in (fact.id, "m1", "nothing"):
            with pytest.raises(NotFound):
                await explain(host, name, bound_to(**bounds))
        await delete(host, "m1")
        with pytest.raises(NotFound):
            await explain(host, fact.id, bound_to(**bounds))


async def test_who_may_see_a_session_does_not_see_the_others(models: ModelServer, tmp_path: Path) -> None:
    items = {"first": [item("User has a cat.", "m1")], "second": [item("User has a cat.", "m2")]}
    async with opened(models, tmp_path, items) as host:
        await put(host, says("m1", "first"))
        await put(host, says("m2", "second"), session="t")
        (cat,) = await derived(host)
        everything = await explain(host, cat.id)
        assert [turn.text for turn in everything.turns] == ["first", "second"]
        bound = await explain(host, cat.id, bound_to(sessions=("s",)))
        assert [(turn.id, turn.text) for turn in bound.turns] == [("m1", "first"), ("m2", None)]
