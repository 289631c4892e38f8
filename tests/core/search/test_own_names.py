"""The user's own names, and the newer of two statements."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from memhost.host import Host
from memhost.ranking import Candidate, Columns, speaks_of_user
from memhost.ranking.own_names import own_subjects
from memhost.text.analysis import analyse_query, index_terms
from tests.support.hosts import run, running_host

WANTS = "User wants to be called Mia, not Maria."
DRINKS = "User drinks coffee again, black."
TOM = "Tom drinks peppermint tea."


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    async with running_host(tmp_path, store="memory", run_jobs=False) as opened:
        yield opened


async def store(host: Host, texts: Sequence[str], user: str = "u1", **fields: Any) -> None:
    memories = [{"id": f"{user}-{n}", "text": text, "user_id": user, **fields} for n, text in enumerate(texts)]
    await run(host, "create_memories", memories=memories)


async def first(host: Host, text: str, user: str = "u1") -> str:
    found = await run(host, "search_memories", text=text, user_id={"eq": user}, limit=5)
    return str(found.memories[0].text)


@pytest.mark.parametrize(
    ("naming", "question", "statement"),
    [
        (WANTS, "What does Mia drink?", DRINKS),
        ("User's name is Mia.", "What does Mia drink?", DRINKS),
        ("User's first name is Mia.", "What does Mia drink?", DRINKS),
        ("User is called Mia by her friends.", "What does Mia drink?", DRINKS),
        ("User prefers to be called Mia.", "What does Mia drink?", DRINKS),
        ("User goes by Mia.", "What does Mia drink?", DRINKS),
        ("Nutzerin heißt Mia.", "Was trinkt Mia?", "Nutzerin trinkt schwarzen Kaffee."),
        ("L'utilisatrice s'appelle Mia.", "Que boit Mia ?", "L'utilisatrice boit du café noir."),
        ("Usuario se llama Mia.", "¿Qué bebe Mia?", "Usuario bebe café solo."),
        ("L'utente si chiama Mia.", "Cosa beve Mia?", "L'utente beve caffè nero."),
    ],
)
async def test_a_name_that_a_memory_gives_the_user_means_the_user(
    host: Host, naming: str, question: str, statement: str
) -> None:
    await store(host, [naming, statement, TOM])
    assert await first(host, question) == statement


async def test_the_users_id_is_a_name_of_theirs(host: Host) -> None:
    await store(host, ["Mia Farrow is an actress.", DRINKS, TOM], user="mia")
    assert await first(host, "What does Mia drink?", user="mia") == DRINKS


async def test_the_label_of_the_users_turns_is_their_name(host: Host) -> None:
    turns = [("user", "Mia: Hello there"), ("assistant", "Hi Mia, how are you?"), ("user", "Mia: All well, thanks")]
    messages = [{"id": f"t{n}", "role": role, "content": text} for n, (role, text) in enumerate(turns)]
    await run(host, "put_session", session_id="s", user_id="u1", messages=messages)
    await store(host, [DRINKS, TOM])
    assert await first(host, "What does Mia drink?") == DRINKS


@pytest.mark.parametrize(
    ("memories", "question", "wanted"),
    [
        # A friend's, a child's, another's name.
        ([DRINKS, "User's friend Mia drinks tea."], "What does Mia drink?", "User's friend Mia drinks tea."),
        ([DRINKS, "User's daughter Mia drinks milk."], "What does Mia drink?", "User's daughter Mia drinks milk."),
        ([DRINKS, "Mia drinks juice."], "What does Mia drink?", "Mia drinks juice."),
        ([DRINKS, TOM, WANTS], "What does Tom drink?", TOM),
        # Two of the name.
        ([WANTS, DRINKS, "User's aunt Mia drinks wine."], "What does Mia drink?", "User's aunt Mia drinks wine."),
        ([WANTS, DRINKS, "User met Mia, who drinks cider."], "What does Mia drink?", "User met Mia, who drinks cider."),
        # The name of a thing, or a naming that is not the user's.
        (
            [DRINKS, "User's cat is called Mia and drinks water."],
            "What does Mia drink?",
            "User's cat is called Mia and drinks water.",
        ),
        ([DRINKS, "The boat Mia drinks diesel."], "What does Mia drink?", "The boat Mia drinks diesel."),
        # The name itself is asked for.
        ([WANTS, DRINKS, TOM], "Does the user want to be called Mia or Maria?", WANTS),
        # German, French, Spanish.
        (
            ["Nutzer trinkt Kaffee.", "Schwester Mia trinkt Tee."],
            "Was trinkt Mia?",
            "Schwester Mia trinkt Tee.",
        ),
        (["L'utilisateur boit du café.", "Mia boit du thé."], "Que boit Mia ?", "Mia boit du thé."),
        (["Usuario bebe café.", "Mia bebe té."], "¿Qué bebe Mia?", "Mia bebe té."),
        (["L'utente beve caffè.", "Mia beve tè."], "Cosa beve Mia?", "Mia beve tè."),
        (["Usuário bebe café.", "A vizinha Mia bebe chá."], "O que Mia bebe?", "A vizinha Mia bebe chá."),
        (["Пользователь пьёт кофе.", "Подруга Мия пьёт чай."], "Что пьёт Мия?", "Подруга Мия пьёт чай."),
        (["用户喝咖啡。", "小米喝茶。"], "小米喝什么？", "小米喝茶。"),
        # Told of, called, named by the user; another name in the naming.
        (["User called Mia yesterday.", DRINKS, "Mia drinks cocoa."], "What does Mia drink?", "Mia drinks cocoa."),
        (
            [DRINKS, "User's boss is called Mia and drinks gin."],
            "What does Mia drink?",
            "User's boss is called Mia and drinks gin.",
        ),
        (
            [DRINKS, "User named the dog Mia; Mia drinks water."],
            "What does Mia drink?",
            "User named the dog Mia; Mia drinks water.",
        ),
        ([WANTS, DRINKS, "Maria drinks malt beer."], "What does Maria drink?", "Maria drinks malt beer."),
        ([WANTS, DRINKS, TOM], "Who drinks peppermint tea?", TOM),
        ([WANTS, DRINKS, TOM], "What does Tom drink with Mia?", TOM),
        (
            [DRINKS, "User reads Mia by Levine; Mia drinks absinthe."],
            "What does Mia drink?",
            "User reads Mia by Levine; Mia drinks absinthe.",
        ),
        (
            ["Nutzer trinkt Kaffee.", "Nutzers Tochter heißt Mia und trinkt Saft."],
            "Was trinkt Mia?",
            "Nutzers Tochter heißt Mia und trinkt Saft.",
        ),
        (["Nutzer trinkt Kaffee.", "Kollegin Mia trinkt Mate."], "Was trinkt Mia?", "Kollegin Mia trinkt Mate."),
        (
            ["L'utilisateur boit du café.", "La sœur de l'utilisateur, Mia, boit du lait."],
            "Que boit Mia ?",
            "La sœur de l'utilisateur, Mia, boit du lait.",
        ),
    ],
)
async def test_the_name_of_somebody_else_means_them(
    host: Host, memories: list[str], question: str, wanted: str
) -> None:
    await store(host, memories)
    assert await first(host, question) == wanted


def test_a_name_inside_of_another_word_is_no_other_person() -> None:
    texts = ["User wants to be called Mia.", "User was in Miami.", "User drinks tea."]
    memories = [Candidate(n, text, index_terms(text)) for n, text in enumerate(texts)]
    found, names = own_subjects(analyse_query("What does Mia drink?"), Columns.of(memories))
    assert (found.tolist(), names) == ([1.0, 1.0, 1.0], {"mia"})
    theirs = Candidate(3, "User met Mia.", index_terms("User met Mia."))
    assert own_subjects(analyse_query("What does Mia drink?"), Columns.of([*memories, theirs]))[1] == set()


@pytest.mark.parametrize("role", ["assistant", "Ben", None])
def test_only_the_users_turns_say_whose_a_name_is(role: str | None) -> None:
    said = [("user", "My name is Mia."), (role, "My name is Ada."), (role, "Mia drinks tea.")]
    turns = [Candidate(n, t, index_terms(t), role=r, session="s", position=n) for n, (r, t) in enumerate(said)]
    assert own_subjects(analyse_query("What does Mia drink?"), Columns.of(turns))[1] == {"mia"}
    assert own_subjects(analyse_query("What does Ada drink?"), Columns.of(turns))[1] == set()


@pytest.mark.parametrize("text", ["Superuser rights are needed.", "Endnutzer zahlen mehr.", "Tom drinks tea."])
def test_who_is_not_called_the_user_is_not_the_user(text: str) -> None:
    assert not speaks_of_user(text)
    assert speaks_of_user(f"{text} User knows.")


async def test_names_are_each_users_own(host: Host) -> None:
    await store(host, [WANTS, DRINKS], user="u1")
    await store(host, ["User drinks cocoa.", "Mia sells drinks."], user="u2")
    assert await first(host, "What does Mia drink?", user="u2") == "Mia sells drinks."
    found = await run(host, "search_memories", text="What does Mia drink?", limit=5)
    texts = [hit.text for hit in found.memories]
    assert texts.index(DRINKS) < texts.index("User drinks cocoa.")


# -- the newer statement ----------------------------------------------------------------------------------


async def homes(host: Host, *told: tuple[str, str]) -> None:
    memories = [{"id": f"h{n}", "text": text, "user_id": "u1", "created_at": at} for n, (text, at) in enumerate(told)]
    await run(host, "create_memories", memories=memories)


BERLIN = ("I live in Berlin", "2024-01-01T00:00:00Z")
MADRID = ("I live in Madrid now", "2026-10-01T00:00:00Z")


async def test_of_two_homes_the_newer_answers_a_question_of_the_present(host: Host) -> None:
    await homes(host, BERLIN, MADRID)
    assert await first(host, "Where do I live?") == MADRID[0]
    assert await first(host, "Wo wohne ich, wo do I live?") == MADRID[0]


async def test_order_of_writing_and_the_place_change_nothing(host: Host) -> None:
    await homes(host, ("I live in Madrid", "2026-10-01T00:00:00Z"), ("I live in Berlin", "2026-10-08T00:00:00Z"))
    assert await first(host, "Where do I live?") == "I live in Berlin"


async def test_a_question_of_the_past_or_with_a_date_is_not_drawn_to_the_newest(host: Host) -> None:
    await homes(host, BERLIN, MADRID)
    assert await first(host, "Where did I live in 2024?") == BERLIN[0]
    assert await first(host, "Where did I live before 2025?") == BERLIN[0]
    assert await first(host, "Where did I live?") == BERLIN[0]  # nothing but the words decides
    assert await first(host, "Do I live in Berlin?") == BERLIN[0]


async def test_a_newer_statement_that_fits_worse_stays_behind(host: Host) -> None:
    await homes(host, ("I live in Berlin", "2024-01-01T00:00:00Z"), ("My sister has a house", "2026-10-01T00:00:00Z"))
    assert await first(host, "Where do I live?") == "I live in Berlin"
