"""Items that name no message of the conversation get the only one that says what they say."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from memhost.extraction.provenance import with_source
from memhost.models import Message
from memhost.ports import Draft, Turn

NOW = datetime(2026, 3, 2, tzinfo=UTC)

TALK = (
    ("m0", "user", "I adopted a greyhound called Rex from the shelter in Graz."),
    ("m1", "assistant", "Congratulations! What does he eat?"),
    ("m2", "user", "Kibble in the morning, and my sister Paula walks him at noon."),
    ("m3", "user", "The dentist wants 450 euros for the crown."),
    ("m4", "tool", "dentist crown 450 euros greyhound shelter Rex"),
)
GERMAN = (
    ("d0", "user", "Ich spiele seit zwei Jahren Cello im Orchester von Potsdam."),
    ("d1", "user", "Am Samstag fahren wir mit dem Nachtzug nach Wien."),
)
JAPANESE = (
    ("j0", "user", "週末に京都の旅館を予約しました。"),
    ("j1", "user", "妻はピアノを習い始めました。"),
)


def turns(talk: tuple[tuple[str, str, str], ...]) -> list[Turn]:
    return [
        Turn(message=Message(id=name, role=role, content=text, created_at=NOW), position=place)
        for place, (name, role, text) in enumerate(talk)
    ]


@pytest.mark.parametrize(
    ("talk", "text", "source"),
    [
        (TALK, "User adopted the greyhound Rex from a shelter in Graz.", "m0"),
        (TALK, "User's sister Paula walks the dog at noon.", "m2"),
        (TALK, "User's dentist asks 450 euros for a crown.", "m3"),
        (GERMAN, "User spielt Cello in einem Orchester in Potsdam.", "d0"),
        (GERMAN, "User fährt am Samstag mit dem Nachtzug nach Wien.", "d1"),
        (JAPANESE, "Userは京都の旅館を予約した。", "j0"),
        (JAPANESE, "Userの妻はピアノを習っている。", "j1"),
    ],
)
def test_a_lost_source_is_restored(talk: tuple[tuple[str, str, str], ...], text: str, source: str) -> None:
    assert with_source(Draft(text=text), turns(talk)).source_ids == [source]


@pytest.mark.parametrize(
    ("talk", "text"),
    [
        (TALK, "User has three children and lives in Paris."),
        (TALK, "User has a dog."),
        (TALK, "User's sister Paula walks Rex the greyhound from the shelter at noon."),
        (TALK, "User likes animals and pays a lot for health."),
        (
            (*TALK, ("m5", "user", "The greyhound Rex from the shelter in Graz has fleas.")),
            "User has the greyhound Rex from Graz.",
        ),
        (TALK[:1], "User sold the house in Leeds to a cousin."),
        (GERMAN, "User reist gern und macht Musik."),
        (JAPANESE, "Userは犬を飼っている。"),
        (JAPANESE, "Userの妻は旅館で働いている。"),
    ],
)
def test_where_several_or_none_can_be_meant_nothing_is_restored(
    talk: tuple[tuple[str, str, str], ...], text: str
) -> None:
    assert with_source(Draft(text=text), turns(talk)).source_ids == []


def test_given_sources_stay() -> None:
    draft = Draft(text="User adopted the greyhound Rex from a shelter in Graz.", source_ids=["m2"])
    assert with_source(draft, turns(TALK)).source_ids == ["m2"]
