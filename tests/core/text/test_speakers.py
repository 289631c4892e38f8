"""Who said a message: names that are sent, names that come back, and words with a colon that are no names."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from msgspec import UNSET

from memhost.models import Message
from memhost.text.speakers import declared_name, labels_of, said_by, same_name, speaker_of

CORPUS = json.loads((Path(__file__).parents[2] / "data" / "leading_words.json").read_text(encoding="utf-8"))
NO_NAMES = [word for words in CORPUS["no_names"].values() for word in words]
PAIRS = [tuple(pair) for pair in CORPUS["pairs_of_no_names"]]
NAMES = CORPUS["names"]
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def message(role: str, content: str, **sent: Any) -> Message:
    return Message(role=role, content=content, id="m", created_at=NOW, **sent)


def chat(*said: tuple[str, str]) -> list[Message]:
    return [message(role, content) for role, content in said]


def speakers(messages: Sequence[Message], user: str = "") -> list[str | None]:
    """The speaker of each message, by the labels of all."""
    labels = labels_of(messages, user)
    return [speaker_of(each, labels) for each in messages]


def test_the_corpus_is_large_enough() -> None:
    assert len(CORPUS["no_names"]) >= 6
    assert len(set(NO_NAMES)) >= 60
    assert len(set(NAMES)) >= 30


# -- words that are no names --------------------------------------------------------------------------------


@pytest.mark.parametrize("word", NO_NAMES)
def test_a_word_that_opens_one_message_is_no_name(word: str) -> None:
    for role in ("user", "assistant"):
        assert speakers(chat(("user", "hello"), (role, f"{word}: the tests pass"), ("assistant", "fine"))) == [None] * 3


@pytest.mark.parametrize("word", NO_NAMES)
def test_a_word_that_opens_each_message_of_one_role_is_no_name(word: str) -> None:
    answers = chat(*[("user", "What about this?"), ("assistant", f"{word}: I looked at it.")] * 4)
    assert not labels_of(answers)
    asked = chat(*[("user", f"{word}: see below."), ("assistant", "I looked at it.")] * 4)
    assert not labels_of(asked)
    alone = chat(*[("user", f"{word}: see below.")] * 4)
    assert not labels_of(alone)


@pytest.mark.parametrize(("first", "second"), [*pairwise(NO_NAMES), *PAIRS])
def test_two_words_that_take_turns_in_the_messages_of_one_role_are_no_names(first: str, second: str) -> None:
    for role, other in (("assistant", "user"), ("user", "assistant")):
        turns = [(role, f"{first}: a"), (other, "Go on, please."), (role, f"{second}: b"), (other, "Thanks!")]
        assert not labels_of(chat(*turns * 3))
    assert not labels_of(chat(*[("user", f"{first}: eggs"), ("user", f"{second}: soup")] * 3))  # a diary


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_questions_and_answers_are_nobodys_names(first: str, second: str) -> None:
    assert not labels_of(chat(*[("user", f"{first}: why?"), ("assistant", f"{second}: so.")] * 4))


@pytest.mark.parametrize("word", NO_NAMES)
def test_a_word_among_people_is_no_name(word: str) -> None:
    turns = [("user", "Ana: Hi Ben!"), ("assistant", "Ben: Hi Ana!")] * 3
    assert speakers(chat(*turns, ("user", f"{word}: the boat is booked")))[-1] is None


# -- names that come back --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("first", "second"), [*pairwise(NAMES)])
def test_two_people_of_two_roles_speak(first: str, second: str) -> None:
    turns = chat(*[("user", f"{first}: How was your day?"), ("assistant", f"{second}: It was long.")] * 2)
    assert speakers(turns) == [first, second] * 2
    labels = labels_of(turns)
    assert [said_by(each, labels)[1] for each in turns[:2]] == ["How was your day?", "It was long."]


@pytest.mark.parametrize("name", NAMES)
def test_a_group_in_which_one_is_addressed(name: str) -> None:
    called = name.split()[-1]
    turns = chat(
        ("user", f"{name}: I will bring the tent."),
        ("user", "Tom: And I the stove."),
        ("user", "Kim: Good."),
        ("user", f"Tom: Thanks, {called}! Is it large?"),
        ("user", f"{name}: For four."),
        ("user", "Kim: Fine."),
    )
    assert speakers(turns) == [name, "Tom", "Kim", "Tom", name, "Kim"]


def test_a_group_that_talks_to_an_assistant() -> None:
    turns = chat(
        ("user", "Ana: Where do we eat?"),
        ("assistant", "Near the station there are three places."),
        ("user", "Ben: Ana, what do you think?"),
        ("assistant", "I can book a table."),
        ("user", "Ana: Thai."),
        ("assistant", "Booked."),
        ("user", "Ben: Great."),
    )
    assert speakers(turns) == ["Ana", None, "Ben", None, "Ana", None, "Ben"]


def test_people_who_answer_each_other() -> None:
    said = ("Anna: I went swimming.", "Ben: Nice. My knee hurts.", "Anna: Have you seen a doctor?", "Ben: Next week.")
    turns = chat(*[("user", text) for text in said])
    assert speakers(turns) == ["Anna", "Ben", "Anna", "Ben"]
    assert speakers(turns[:3]) == [None] * 3


def test_one_that_speaks_once_and_is_spoken_of() -> None:
    turns = chat(
        ("user", "Jimena: Me caso en Oaxaca."),
        ("user", "Paloma: Yo llevo el mezcal."),
        ("assistant", "Anotado: mezcal a cargo de Paloma."),
        ("user", "Jimena: Y que Paloma no coma gluten."),
        ("user", "Pendiente: confirmar al fotógrafo."),
    )
    assert speakers(turns) == ["Jimena", "Paloma", None, "Jimena", None]


@pytest.mark.parametrize("place", ["Berlin", "Lyon", "Madrid", "Ankara"])
def test_a_place_of_which_people_speak_is_no_name(place: str) -> None:
    turns = [("user", "Ana: Hi Ben!"), ("assistant", f"Ben: Hi Ana, is it cold in {place}?")] * 2
    assert speakers(chat(*turns, ("user", f"{place}: the boat is booked"))) == ["Ana", "Ben", "Ana", "Ben", None]


def test_questions_about_subjects_are_no_dialogue() -> None:
    asked = [("user", "Python: How do I sort?"), ("user", "Java: And here?")]
    answers = [("assistant", "With sorted."), ("assistant", "With sort.")]
    assert not labels_of(chat(*[turn for pair in zip(asked, answers, strict=True) for turn in pair] * 3))
    assert not labels_of(chat(*asked * 3))


def test_one_that_spoke_once_among_people_stays_undecided() -> None:
    turns = chat(*[("user", "Ana: Hi Ben!"), ("assistant", "Ben: Hi Ana!")] * 2, ("user", "Cem: May I join?"))
    assert speakers(turns) == ["Ana", "Ben", "Ana", "Ben", None]


def test_a_name_in_front_of_a_message_of_another_role_is_one_who_is_addressed() -> None:
    turns = chat(*[("user", "Ana: Where to?"), ("user", "Ben: Ask, Ana!")] * 2, ("assistant", "Ana: to Lyon, I think."))
    assert speakers(turns)[-1] is None


@pytest.mark.parametrize("count", range(1, 9))
def test_what_was_a_name_stays_one_as_the_conversation_goes_on(count: int) -> None:
    turns = chat(*[("user", "Ana: Hi Ben!"), ("assistant", "Ben: Hi Ana!")] * 2, *[("user", "so"), ("user", "no")] * 8)
    assert labels_of(turns[:4]) <= labels_of(turns[: 4 + count])


# -- names that are sent -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "sent",
    [
        lambda name: {"name": name},
        lambda name: {"others": {"speaker": name}},
        lambda name: {"others": {"metadata": {"speaker": name}}},
        lambda name: {"others": {"metadata": {"sender": {"id": "u1", "display_name": name}}}},
        lambda name: {"others": {"additional_kwargs": {"name": name}}},
        lambda name: {"others": {"author": {"role": "user", "name": name}}},
    ],
    ids=["name", "speaker", "metadata", "sender", "additional_kwargs", "author"],
)
def test_a_name_that_is_sent_is_the_speaker(name: str, sent: Any) -> None:
    for role in ("user", "assistant"):
        assert said_by(message(role, "Hello there", **sent(name))) == (name, "Hello there")
        assert said_by(message(role, f"{name}: Hello there", **sent(name))) == (name, "Hello there")
        assert said_by(message(role, "Done: all of it", **sent(name))) == (name, "Done: all of it")


@pytest.mark.parametrize("name", NAMES)
def test_a_role_that_is_no_role_is_the_speaker(name: str) -> None:
    assert said_by(message(name, "Kofi: said hello")) == (name, "Kofi: said hello")


def test_a_name_that_is_sent_once_makes_its_label_known() -> None:
    assert speakers([message("user", "Hi", name="Ana"), message("user", "Ana: and then?")]) == ["Ana", "Ana"]


def test_the_sessions_user_is_known() -> None:
    turns = chat(("user", "Mia: I moved."), ("assistant", "Mia: well done"))
    assert speakers(turns, "mia") == ["Mia", None]
    assert speakers(turns, "u-1234") == [None, None]


@pytest.mark.parametrize(
    ("role", "sent"),
    [
        ("tool", {"name": "get_weather"}),
        ("function", {"name": "get_weather"}),
        ("system", {"name": "Rules"}),
        ("developer", {"name": "Rules"}),
        ("user", {"name": None}),
        ("user", {"name": 7}),
        ("user", {"name": ""}),
        ("user", {"name": "user"}),
        ("assistant", {"name": "Assistant"}),
        ("user", {"name": "12345"}),
        ("user", {"name": "a\nb"}),
        ("user", {"name": "x" * 65}),
        ("user", {"name": "6f1f0a52-93d1-4f0e-8f5a-6b1f0a5293d1"}),
        ("user", {"name": "01ARZ3NDEKTSV4RRFFQ69G5FAV"}),
        ("user", {"others": {"from": "human"}}),
        ("user", {"others": {"sender": "U024BE7LHX9"}}),
        ("user", {"others": {"metadata": {"name": "report.pdf", "source": "web"}}}),
        ("user", {"others": {"metadata": "speaker"}}),
        ("user", {"others": UNSET}),
    ],
)
def test_other_fields_name_nobody(role: str, sent: dict[str, Any]) -> None:
    assert declared_name(message(role, "hello", **sent)) is None


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Evan", "evan", True),
        ("evan_m", "Evan M", True),
        ("Evan", "Evan Miller", True),
        ("Evan", "Eva", False),
        ("Evan Miller", "Eva Miller", False),
        ("Иван", "иван", True),
        ("", "Evan", False),
    ],
)
def test_names_are_compared_by_words(one: str, other: str, same: bool) -> None:
    assert same_name(one, other) is same
