"""Metrics, intervals, sets and timelines of `memhost eval`."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from memhost.cli.access import answer_of
from memhost.errors import InvalidRequest, Unavailable
from memhost.evaluation import MEASURES, AmsServer, bm25, measure_floor, measures, read_set, report, timelines
from memhost.evaluation.metrics import difference, interval
from memhost.evaluation.runs import Measured, within
from memhost.evaluation.server import Hit
from memhost.evaluation.sets import Conversation, Question, Turn

KEPT = (0.0, 0.5, 1.0, 1.0)


def measured(hits: Sequence[Sequence[str]], question: Question) -> dict[str, float]:
    return dict(zip(MEASURES, measures(hits, KEPT, question), strict=True))


def test_metrics_of_a_ranking_worked_out_by_hand() -> None:
    hits = [("x",), ("a",), ("y",), ("z",), ("w",), ("v", "b"), ("u",)]
    found = measured(hits, Question("?", ("a", "b", "c")))
    assert (found["recall@1"], found["recall@5"], found["recall@10"]) == (0, 1 / 3, 2 / 3)
    assert (found["all@5"], found["all@10"], found["mrr"]) == (0, 0, 1 / 2)
    assert [found[f"evidence@{budget}"] for budget in (250, 500, 750, 1500)] == list(KEPT)
    assert math.isnan(found["winner_first"])
    assert math.isnan(found["stale_above"])


def test_all_is_reached_only_with_the_last_turn_of_the_evidence() -> None:
    hits = [("a",), *([("x",)] * 4), ("b",)]
    found = measured(hits, Question("?", ("a", "b")))
    assert (found["recall@1"], found["recall@5"], found["all@5"], found["all@10"]) == (0.5, 0.5, 0, 1)


def test_evidence_behind_the_25th_hit_has_no_reciprocal_rank() -> None:
    question = Question("?", ("a",))
    assert measured([*([("x",)] * 24), ("a",)], question)["mrr"] == 1 / 25
    assert measured([*([("x",)] * 25), ("a",)], question)["mrr"] == 0
    assert measured([], question)["mrr"] == 0


@pytest.mark.parametrize(
    ("hits", "winner_first", "stale_above"),
    [
        ([("new",), ("old",)], 1, 0),
        ([("other",), ("new",), ("old",)], 0, 0),
        ([("old",), ("new",)], 0, 1),
        ([("other",), ("older",), ("new",), ("old",)], 0, 1),
        ([("old",)], 0, 1),
        ([("other",)], 0, 0),
        ([("new", "old")], 1, 0),
    ],
)
def test_the_newest_statement_against_the_outdated(
    hits: list[tuple[str, ...]], winner_first: float, stale_above: float
) -> None:
    found = measured(hits, Question("?", ("new",), outdated=("old", "older")))
    assert (found["winner_first"], found["stale_above"]) == (winner_first, stale_above)


def test_context_ends_before_the_first_hit_that_does_not_fit() -> None:
    hits = [Hit("x" * 40, ("a",)), Hit("x" * 400, ("b",)), Hit("x", ("c",))]
    assert within(hits, 10) == []
    assert within(hits, 11) == [("a",)]  # 10 tokens and the line's end
    assert within(hits, 111) == [("a",)]
    assert within(hits, 112) == [("a",), ("b",)]
    assert within(hits, 114) == [("a",), ("b",), ("c",)]


def test_intervals_hold_the_mean_and_leave_out_what_was_not_measured() -> None:
    assert interval(np.array([math.nan])) is None
    assert interval(np.array([0.5, math.nan, 0.5])) == (0.5, 0.5, 0.5)
    found = interval(np.array([0.0, 1.0] * 50))
    assert found is not None
    assert found.mean == 0.5
    assert found.low == pytest.approx(0.5 - 1.96 * 0.05, abs=0.02)  # the standard error of 100 coins is 0.05
    assert found.high == pytest.approx(0.5 + 1.96 * 0.05, abs=0.02)
    assert found == interval(np.array([0.0, 1.0] * 50))


def test_differences_are_paired_by_question() -> None:
    draw = np.random.default_rng(1)
    hard = draw.random(200)
    one, two = hard * 0.9, hard * 0.9 + 0.01
    paired, alone = difference(one, two), interval(one)
    assert paired is not None
    assert alone is not None
    assert paired.low == pytest.approx(0.01)
    assert paired.high == pytest.approx(0.01)
    assert alone.high - alone.low > 0.05  # apart, the two would not differ


def test_bm25_of_two_texts_worked_out_by_hand() -> None:
    (ranked,) = bm25(["cats like fish", "dogs like long walks"], ["fish cats"], "en")
    assert ranked == [0]
    texts = ["tea", "tea tea milk milk", "milk"]
    assert list(bm25(texts, ["teas", "coffee", "milk tea"], "en")) == [[0, 1], [], [1, 0, 2]]


@pytest.mark.parametrize(
    ("language", "texts", "query", "first"),
    [
        ("de", ["Die Häuser sind alt.", "Der Hund schläft."], "Haus", [0]),
        ("de", ["Der Hund schläft.", "Die Kinder lachen."], "Hunde", [0]),
        ("ru", ["Она купила книги.", "Идёт дождь."], "книга", [0]),
        ("zh", ["我住在大连。", "汤太咸了。"], "大连在哪里", [0]),
        ("xx", ["one two", "three"], "two", [0]),
    ],
)
def test_bm25_stems_by_language_and_cuts_scripts_without_spaces(
    language: str, texts: list[str], query: str, first: list[int]
) -> None:
    assert next(bm25(texts, [query], language))[:1] == first


SIMPLE: dict[str, Any] = {
    "name": "mine",
    "language": "en",
    "conversations": [
        {
            "id": "c1",
            "named": True,
            "sessions": [
                {"time": "2024-05-01T10:00:00", "turns": [{"id": "1", "role": "user", "speaker": "Ann", "text": "Hi."}]}
            ],
            "questions": [{"text": "Who?", "category": "people", "evidence": ["1"]}],
        }
    ],
}


def changed(**fields: Any) -> dict[str, Any]:
    conversation = {**SIMPLE["conversations"][0], **fields}
    return {**SIMPLE, "conversations": [conversation]}


def written(folder: Path, content: Any) -> Path:
    path = folder / "set.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_the_simple_form_names_speakers_and_counts_seconds(tmp_path: Path) -> None:
    found = read_set(written(tmp_path, SIMPLE))
    (turn,) = found.conversations[0].turns
    assert (found.name, turn.text, turn.at.isoformat()) == ("mine", "Ann: Hi.", "2024-05-01T10:00:00+00:00")
    assert found.questions == [Question("Who?", ("1",), "people")]
    bare = read_set(written(tmp_path, changed(named=False)))
    assert bare.conversations[0].turns[0].text == "Hi."
    said = {"id": "1", "role": "user", "speaker": None, "text": "Hi."}
    unknown = read_set(written(tmp_path, changed(sessions=[{"time": "2024-05-01T10:00:00", "turns": [said]}])))
    assert unknown.conversations[0].turns[0].text == "Hi."


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "neither"),
        ({"name": "x"}, "conversations"),
        (changed(questions=[{"text": "Who?", "evidence": ["2"]}]), "the turns 2, which do not exist"),
        (changed(questions=[{"text": "Who?", "evidence": []}]), "no evidence"),
        (changed(questions=[]), "no question"),
        (changed(sessions=SIMPLE["conversations"][0]["sessions"] * 2), "two turns of one id"),
        ([{"sample_id": "a", "conversation": {"session_1": []}, "qa": []}], "does not match format"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(tmp_path: Path, content: Any, told: str) -> None:
    with pytest.raises(InvalidRequest, match=told):
        read_set(written(tmp_path, content))


def test_locomo_counts_evidence_that_exists(tmp_path: Path) -> None:
    turns = [
        {"dia_id": "D1:1", "speaker": "Ann", "text": "Look!", "blip_caption": "a red kite"},
        {"dia_id": "D1:2", "speaker": "Bo", "text": "Nice."},
    ]
    item = {
        "sample_id": "conv-1",
        "conversation": {
            "speaker_a": "Ann",
            "session_1_date_time": "1:56 pm on 8 May, 2023",
            "session_1": turns,
        },
        "qa": [
            {"question": "What?", "category": 4, "evidence": ["D1:1; D9:9", "D"]},
            {"question": "Nothing?", "category": 5, "evidence": ["D9:9"]},
        ],
    }
    found = read_set(written(tmp_path, [item]))
    assert found.questions == [Question("What?", ("D1:1",), "single-hop")]
    one, two = found.conversations[0].turns
    assert (one.role, one.text) == ("user", "Ann: Look! [shares a photo: a red kite]")
    assert (two.role, two.at.isoformat()) == ("assistant", "2023-05-08T13:56:01+00:00")


def test_timelines_are_made_by_their_seed_and_the_newest_statement_counts() -> None:
    made = timelines(seed=3, conversations=2)
    assert made == timelines(seed=3, conversations=2)
    assert made != timelines(seed=4, conversations=2)
    assert {question.category for question in made.questions} == {"en", "de", "es", "fr", "ru", "zh"}
    for conversation in made.conversations:
        said = {turn.id: turn for turn in conversation.turns}
        assert len(said) == len(conversation.turns)
        for question in conversation.questions:
            (winner,) = question.evidence
            assert 1 <= len(question.outdated) <= 3
            assert all(said[stale].at < said[winner].at for stale in question.outdated)
            assert len({said[each].text for each in (winner, *question.outdated)}) == len(question.outdated) + 1


def test_the_floor_ranks_old_statements_as_high_as_new_ones() -> None:
    given = timelines(conversations=2)
    means = report(given, [measure_floor(given)])["systems"][0]["all"]
    assert means["recall@10"]["mean"] > 0.8
    assert means["stale_above"]["mean"] > 0.5


def test_a_report_compares_two_servers_by_category() -> None:
    given = timelines(conversations=1)
    floor = measure_floor(given)
    worse, better = (
        Measured(name, np.full_like(floor.values, value), [0.001] * len(floor.values))
        for name, value in (("worse", 0.25), ("better", 0.75))
    )
    found = report(given, [floor, worse, better])
    assert found["difference"]["of"] == ["better", "worse"]
    assert found["difference"]["all"]["mrr"] == {"mean": 0.5, "low": 0.5, "high": 0.5}
    assert found["difference"]["by_category"]["zh"]["all@5"]["mean"] == 0.5
    assert found["systems"][1]["by_category"]["zh"]["questions"] == 5
    assert found["systems"][1]["search_ms"] == {"p50": 1.0, "p95": 1.0}
    assert "difference" not in report(given, [floor, worse])


CONVERSATION = Conversation("c", ((Turn("1", "user", "Hi.", timelines().conversations[0].turns[0].at),),), ())


async def test_a_server_that_does_not_find_what_was_written_is_an_error() -> None:
    """Agent Memory Server with `INDEX_ALL_MESSAGES_IN_LONG_TERM_MEMORY` off answers like this."""
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.method)
        return httpx.Response(200, json={"memories": []})

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://test") as client:
        server = AmsServer(client=client, read=answer_of, namespace="n", wait_s=0.0)
        with pytest.raises(Unavailable, match="INDEX_ALL_MESSAGES"):
            await server.write("o", CONVERSATION)
    assert asked[:2] == ["PUT", "POST"]


async def test_a_hit_names_the_turns_that_it_was_made_from_and_no_one_elses() -> None:
    hits = [
        {"id": "m1", "text": "fact", "extracted_from": ["o/1"], "source_ids": ["o/1", "o/2", "other/3"]},
        {"id": "o/4", "text": "turn", "repeats": [{"id": "o/5"}]},
    ]

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/context":
            return httpx.Response(404, json={"detail": "Not Found"})
        return httpx.Response(200, json={"memories": hits})

    def composed(request: httpx.Request) -> httpx.Response:
        asked = json.loads(request.content)
        assert asked == {"query": "?", "user_id": "o", "namespace": "n", "budget": 250}
        return httpx.Response(200, json={"text": "...", "items": [{"ids": ["m1", "o/7"], "source_ids": ["o/6"]}]})

    async with httpx.AsyncClient(transport=httpx.MockTransport(composed), base_url="http://test") as client:
        server = AmsServer(client=client, read=answer_of, namespace="n")
        assert await server.context("o", "?", 250) == [("7", "6")]
        assert server.has_context

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://test") as client:
        server = AmsServer(client=client, read=answer_of, namespace="n")
        assert [hit.turns for hit in await server.search("o", "?")] == [("1", "2"), ("4", "5")]
        assert server.has_context
        assert await server.context("o", "?", 250) is None
        assert not server.has_context
