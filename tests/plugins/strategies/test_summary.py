"""Strategy `summary`: one memory per session, brought up to date."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from tests.support.conversations import NOW, OWNER, answer, context, message, turns_of

from memhost.models import MemoryRecord, MemoryType, Message
from memhost.ports import Draft, ExtractionContext, Turn
from memhost_strategy_summary import SummaryConfig
from memhost_strategy_summary.strategy import Summary

STRATEGY = Summary()
TALK = [message(f"Line {number}.", id=f"m{number}", at=f"2026-03-01T09:0{number}:00+00:00") for number in range(4)]


def run(
    turns: Sequence[Turn], given: ExtractionContext, text: str = "They spoke of lines.", **more: Any
) -> tuple[str, Draft]:
    """The user message of the question, and the draft of the answer."""
    request = STRATEGY.prepare(turns, given)
    assert request is not None
    (draft,) = STRATEGY.parse(answer({"text": text, **more}), turns, given).drafts
    return request.messages[1]["content"], draft


def stored(draft: Draft) -> MemoryRecord:
    return MemoryRecord(
        id=draft.id or "", text=draft.text, last_accessed=NOW, created_at=NOW, updated_at=NOW, metadata=draft.metadata
    )


def of(messages: list[Message], **given: Any) -> ExtractionContext:
    return context(messages=messages, **given)


def test_id_follows_from_the_owner() -> None:
    name = hashlib.sha256(b"travel|ana|trip-42").hexdigest()[:24]
    assert STRATEGY.target(context()) == f"thread_summary_{name}"
    bare = msgspec.structs.replace(context(), session=type(OWNER)("t", "", "", "s"))
    assert STRATEGY.target(bare) == f"thread_summary_{hashlib.sha256(b'||s').hexdigest()[:24]}"


def test_summary_says_what_it_was_made_from() -> None:
    given_context = of(TALK, config={"topics": ["work", "thread-summary"]})
    _, draft = run(turns_of(TALK), given_context, topics=["zoo", "art"], entities=["Oslo", "Ana"])
    assert draft.id == STRATEGY.target(given_context)
    assert draft.memory_type is MemoryType.SEMANTIC
    assert draft.topics == ["art", "thread-summary", "work", "zoo"]
    assert draft.entities == ["Ana", "Oslo"]
    assert draft.source_ids == ["m0", "m1", "m2", "m3"]
    assert draft.metadata["source_session_id"] == "trip-42"
    assert draft.metadata["message_count"] == 4
    assert draft.metadata["source_message_ids"] == draft.source_ids
    assert draft.metadata["source_created_at_min"] == "2026-03-01T09:00:00Z"
    assert draft.metadata["source_created_at_max"] == "2026-03-01T09:03:00Z"
    assert draft.metadata["summary_version"] == "thread-summary-v1"
    assert len(draft.metadata["source_message_fingerprint"]) == 64


def test_several_items_are_joined() -> None:
    given_answer = answer({"text": "First part.", "topics": ["b"]}, {"text": "Second part.", "topics": ["a", "b"]})
    (draft,) = STRATEGY.parse(given_answer, turns_of(TALK), of(TALK)).drafts
    assert draft.text == "First part.\n\nSecond part."
    assert draft.topics == ["a", "b", "thread-summary"]


def test_unchanged_session_needs_no_call() -> None:
    _, draft = run(turns_of(TALK), of(TALK))
    assert STRATEGY.prepare(turns_of(TALK), of(TALK, previous=stored(draft))) is None


@pytest.mark.parametrize("changed", ["content", "role", "id", "created_at"])
def test_every_part_of_a_message_is_in_the_fingerprint(changed: str) -> None:
    _, draft = run(turns_of(TALK), of(TALK))
    value = NOW if changed == "created_at" else "other"
    other = [*TALK[:3], msgspec.structs.replace(TALK[3], **{changed: value})]
    assert STRATEGY.prepare(turns_of(other[3:]), of(other, previous=stored(draft))) is not None


def test_update_reads_the_summary_and_the_new_turns_only() -> None:
    _, before = run(turns_of(TALK[:3]), of(TALK[:3]), "They spoke of trains.")
    given_context = of(TALK, previous=stored(before))
    question, draft = run([Turn(message=TALK[3], position=3)], given_context)
    assert "They spoke of trains." in question
    assert "Line 3." in question
    assert "Line 2." not in question
    assert draft.metadata["message_count"] == 4
    assert draft.created_at == NOW
    assert STRATEGY.prepare(turns_of(TALK), of(TALK, previous=stored(draft))) is None


def test_thread_in_parts_is_summed_up_part_by_part() -> None:
    """Both parts belong to one session whose messages are all known from the start."""
    question, first = run(turns_of(TALK[:2]), of(TALK))
    assert "Line 1." in question
    assert "Line 2." not in question
    assert first.metadata["message_count"] == 2
    later = [Turn(message=each, position=position) for position, each in enumerate(TALK)][2:]
    question, second = run(later, of(TALK, previous=stored(first)))
    assert "Line 1." not in question
    assert "Line 3." in question
    assert second.metadata["message_count"] == 4


def test_messages_that_have_left_stay_counted() -> None:
    _, before = run(turns_of(TALK[:3]), of(TALK[:3]))
    left = [TALK[3]]
    _, draft = run(turns_of(left), of(left, previous=stored(before), summary="Lines 0 to 2."))
    assert draft.metadata["message_count"] == 4
    assert draft.metadata["source_created_at_min"] == "2026-03-01T09:00:00Z"


def test_new_version_is_written_anew_with_the_running_summary() -> None:
    _, before = run(turns_of(TALK), of(TALK), "They spoke of trains.")
    given_context = of(TALK, previous=stored(before), summary="Before: buses.", config={"summary_version": "v2"})
    question, draft = run(turns_of(TALK), given_context)
    assert "They spoke of trains." not in question
    assert "Before: buses." in question
    assert "Line 0." in question
    assert draft.metadata["summary_version"] == "v2"


def test_session_that_is_gone_is_summed_up_from_its_turns() -> None:
    _, draft = run(turns_of(TALK), of([]))
    assert draft.metadata["message_count"] == 4


def test_length_counts_words_and_is_asked_for() -> None:
    request = STRATEGY.prepare(turns_of(TALK), of(TALK, config={"max_summary_length": 80}))
    assert request is not None
    assert "80 words" in request.messages[0]["content"]


def test_long_text_is_kept_and_unclear_one_too() -> None:
    given_context = of(TALK, grounding_strict=True)
    first = STRATEGY.parse(answer({"text": "He spoke. " + "word " * 500}), turns_of(TALK), given_context)
    assert first.drafts[0].metadata["ungrounded"] is True
    assert first.repair is not None
    second = STRATEGY.parse(answer({"text": "Bob spoke."}), turns_of(TALK), given_context, first)
    assert [draft.text for draft in second.drafts] == ["Bob spoke."]
    assert second.drafts[0].metadata["message_count"] == 4


def test_options_have_limits() -> None:
    assert msgspec.convert({}, SummaryConfig).max_summary_length == 500
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"max_summary_length": 0}, SummaryConfig)


def test_metadata_edited_by_hand_does_no_harm() -> None:
    _, before = run(turns_of(TALK[:3]), of(TALK[:3]))
    before.metadata.update(source_created_at_min="long ago", source_message_ids="m0", source_message_fingerprint=5)
    _, draft = run([Turn(message=TALK[3], position=3)], of(TALK, previous=stored(before)))
    assert draft.metadata["source_created_at_min"] == "2026-03-01T09:00:00Z"
