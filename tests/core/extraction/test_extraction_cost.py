"""The cost of extraction, counted at the provider."""

from __future__ import annotations

from pathlib import Path

from memhost.testing.clock import FakeClock
from tests.support.extractions import derived, extractions, host_with_model, item, noting, said, settled, texts_of
from tests.support.hosts import run
from tests.support.model_server import ModelServer

FACTS = (
    "User's daughter studies law in Bergen.",
    "The boiler in the cellar leaks every winter.",
    "Project Kestrel ships its firmware quarterly.",
    "User cannot eat peanuts.",
    "Anna takes over bookkeeping from Jonas.",
)


async def test_five_new_memories_cost_one_call_and_one_embedding_request(models: ModelServer, tmp_path: Path) -> None:
    models.answer(noting({"Much has": [item(text, "m0") for text in FACTS]}))
    settings = {"INDEX_ALL_MESSAGES": "false"}
    async with host_with_model(models, tmp_path, embeddings=True, settings=settings) as host:
        await run(host, "put_session", session_id="s", user_id="ana", messages=said("Much has happened."))
        await settled(host, "s", user_id="ana")
        assert {memory.text for memory in await derived(host)} == set(FACTS)
        assert (len(models.chat_requests), len(models.embedding_requests)) == (1, 1)


async def test_new_memories_like_stored_ones_cost_one_more_call_for_all(models: ModelServer, tmp_path: Path) -> None:
    again = tuple(text.replace(".", " now.") for text in FACTS[:2])
    models.answer(
        noting({"Much has": [item(text, "m0") for text in FACTS], "goes on": [item(text, "m1") for text in again]}),
    )
    models.answer(lambda call: None if "<messages>" in call.prompt else {"pairs": []})
    settings = {"INDEX_ALL_MESSAGES": "false"}
    async with host_with_model(models, tmp_path, embeddings=True, settings=settings) as host:
        for texts in (("Much has happened.",), ("Much has happened.", "And it goes on.")):
            await run(host, "put_session", session_id="s", messages=said(*texts))
            await settled(host, "s")
        assert len(extractions(models)) == 2
        assert len(models.chat_requests) == 3, "one call judges all pairs"
        assert len(models.embedding_requests) == 3, "one is for what is known that may be near to the new message"


async def test_an_idle_hour_costs_nothing(models: ModelServer, tmp_path: Path) -> None:
    models.answer(noting({"Much has": [item(text, "m0") for text in FACTS]}))
    clock = FakeClock()
    settings = {
        "FORGETTING_ENABLED": "true",
        "FORGETTING_MAX_AGE_DAYS": "3650",
        "MAX_FUTURE_TIMESTAMP_SECONDS": "1000000000",
    }
    async with host_with_model(
        models, tmp_path, embeddings=True, settings=settings, clock=clock, run_jobs=False
    ) as host:
        await run(host, "put_session", session_id="s", messages=said("Much has happened."))
        await run(host, "create_summary_view", name="v", source="long_term", group_by=["user_id"], continuous=True)

        async def an_hour() -> None:
            for _ in range(12):
                clock.advance(300)
                await host.services.dispatcher.sweep()
                while jobs := await host.services.dispatcher.claim(20):
                    for job in jobs:
                        await host.services.dispatcher.run(job)

        await an_hour()
        assert len(await derived(host)) == len(FACTS)
        await an_hour()
        calls = len(models.requests)
        await an_hour()
        assert len(models.requests) == calls


async def test_a_long_session_costs_in_proportion_to_its_length(models: ModelServer, tmp_path: Path) -> None:
    texts = [f"Sentence {index} of a long story that does not want to end." for index in range(400)]
    settings = {"EXTRACTION_THRESHOLD_MESSAGES": "20"}
    costs = []
    async with host_with_model(models, tmp_path, settings=settings) as host:
        for length in range(20, 401, 20):
            await run(host, "put_session", session_id="s", messages=said(*texts[:length]))
            await settled(host, "s")
            costs.append(sum(len(call.prompt) for call in extractions(models)))
    first, last = costs[9] - costs[4], costs[19] - costs[14]
    assert last < 1.2 * first, "a hundred messages cost the same, whatever was said before"
    assert sum(len(texts_of(call)) for call in extractions(models)) == len(texts)
