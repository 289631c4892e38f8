"""Ranking on columns: scores and order of memory by memory (`reference`), from objects and from rows taken of more."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Sequence
from datetime import UTC, date, datetime

import msgspec
import numpy as np
import pytest
from bench.ranking_lab import DATA, choose, load_scope

from memhost.ranking import (
    DEFAULT_WEIGHTS,
    STAGES,
    Candidate,
    Columns,
    CorpusStats,
    Ranked,
    RankingWeights,
    rank,
    rank_columns,
    traits_of,
)
from memhost.ranking.types import Vector
from memhost.text.analysis import AnalysedQuery, analyse_query, index_terms, query_terms
from memhost.text.temporal.asked import Here
from memhost_model_static.embedder import StaticEmbedder
from tests.core.ranking.reference.score import rank as reference


def unlike(ranked: Sequence[Ranked], expected: Sequence[Ranked]) -> str:
    """What is not the same in two rankings, or nothing."""
    if [each.key for each in ranked] != [each.key for each in expected]:
        return f"order {[each.key for each in ranked]}, not {[each.key for each in expected]}"
    for one, other in zip(ranked, expected, strict=True):
        if one.shares != other.shares or abs(one.nearness - other.nearness) > 1e-6:
            return f"{one.key!r}: shares, nearness {one.shares, one.nearness}, not {other.shares, other.nearness}"
        if abs(one.score - other.score) > 1e-6 or one.breakdown.keys() != other.breakdown.keys():
            return f"{one.key!r}: {one.score}, not {other.score}"
        for stage, value in one.breakdown.items():
            if abs(value - other.breakdown[stage]) > 1e-6:
                return f"{one.key!r}: {stage} {value}, not {other.breakdown[stage]}"
    return ""


def check(
    query: AnalysedQuery,
    vector: Vector | None,
    candidates: Sequence[Candidate],
    stats: CorpusStats,
    weights: RankingWeights = DEFAULT_WEIGHTS,
    columns: Columns | None = None,
) -> None:
    """Hold all ways to rank against the reference."""
    expected = reference(query, vector, candidates, stats, weights)
    columns = Columns.of(candidates) if columns is None else columns
    assert not unlike(rank(query, vector, candidates, stats, weights), expected)
    assert not unlike(rank(query, vector, columns, stats, weights), expected)
    brief = rank(query, vector, columns, stats, weights, explain=False, limit=3)
    assert not unlike(brief, reference(query, vector, candidates, stats, weights, explain=False, limit=3))
    found = rank_columns(query, vector, columns, stats, weights)
    assert [candidates[row].key for row in found.rows.tolist()] == [each.key for each in expected]
    assert np.allclose(found.parts.sum(axis=1), [sum(each.breakdown.values()) for each in expected], rtol=0, atol=1e-6)
    assert found.parts.shape == (len(candidates), len(STAGES))


NAMES = ("Ana", "Mia Lee", "Зоя", "花子", "O'Neil", "", "Mia", "tool-7")
TEXTS = (
    *("Hey Ana! How was the museum?", "Hi there Mia, nice photos [shares a photo: a kite]", "Hello 3.5 Ana, well", "?"),
    *("Good morning Ana, I sailed to the island", "Thanks Mia! we sail often", "Hey Mia", "hey hey ana so", "Wow Ben"),
    *("User wants to be called Mia.", "User's daughter Mia loves photography.", "User drinks black coffee", "I'm Ana"),
    *("My name is Ana.", "Call me Mia, please", "The user is called Ben", "Пользователя зовут Зоя.", "用户叫花子"),
    *("Nutzerin heisst Mia", "Ana lives in Riga", "I live in Porto now.", "I lived in Riga, in 2019", "I live in Lima"),
    *(
        "It cost $45 in March",
        "das kostet 3 Euro",
        "он стоит 500 руб",
        "價格是 500 元",
        "we paid 1.250,00 EUR, Anna said",
    ),
    *(
        "Café caffè CAFÉ naïve",
        "Я люблю фотографию и море",
        "Мы ездили в музей на море",
        "東京の博物館に行きました",
        "我昨天去了博物馆",
    ),
    *(
        "متحف كبير في المدينة",
        "Wir gingen ins Museum",
        "¿Fuiste al museo con Ana?",
        "\ud800 broken \udfff half",
        "",
        "   ",
        "[9 May 2023] Hi!",
    ),
    *(
        "[2:05 pm on 31 February, 2023] Hey",
        "On 8 May 2023 we went to the museum",
        "I bought a red bicycle for two weeks",
    ),
    *(
        "the bride and the ceremony were wonderful",
        "photo photograph photographer photos",
        "a  b  double  spaces",
        "x" * 300,
    ),
    *("my my my I we our mine", "two dogs and a guitar lesson", "last Tuesday we saw a concert in Lima, Ana and me"),
)
QUERIES = (
    *("When did Ana go to the museum?", "What does Mia drink?", "Where does Ana live now?", "Who is Mia?", "museum"),
    *(
        'Who said "the museum" and "black coffee"?',
        'Did she say "hey ana"?',
        "How much did the bicycle cost?",
        "",
        "?!",
    ),
    *(
        "What did I say about photography?",
        "What did you tell me about the island?",
        "wedding",
        "How many dogs are there?",
    ),
    *(
        "Which cities has Ana visited?",
        "What happened on 8 May 2023?",
        "What did we do in May 2023?",
        "What happened in 2023?",
    ),
    *(
        "What did I do last week?",
        "Where do I live?",
        "Сколько стоит велосипед?",
        "Где живёт Зоя сейчас?",
        "花子去了哪里？",
    ),
    *(
        "博物館はどこですか",
        "Wo ist das Museum?",
        "¿Dónde vive Ana ahora?",
        "أين المتحف؟",
        "Was kostet das?",
        "broken half",
    ),
    *(
        "What does Ben play, since 3 June?",
        "When did Mia and Ana meet in Riga before 2022?",
        "Where does Zoe live now?",
    ),
    *("photographic photographs sailing cafe lesson coffee drinks", "Ana", "What is Mia's dog called?", "10 Feb"),
)
ASKED = Here(date(2023, 5, 20))
STARTED = datetime(2023, 5, 1, tzinfo=UTC).timestamp()


def some_keys(chance: random.Random, count: int) -> list[int | str]:
    """Keys of both kinds, some of which are equal but for that."""
    kind = chance.randrange(3)
    every: list[int | str] = list(range(count)) if kind != 1 else []
    every += [str(number) for number in range(count)] if kind != 0 else []
    return chance.sample(every, count)


def some(chance: random.Random) -> list[Candidate]:
    """Memories of every kind."""
    count = chance.choice([1, 1, 2, 3, 8, 20, 45])
    names: Sequence[str | None] = chance.choice([[None], [None], NAMES[:1], NAMES[:2], [*NAMES, None]])
    roles: Sequence[str | None] = chance.choice(
        [["user", "assistant"], ["a", "b"], ["User", "AI", "tool", None, ""], ["human"], [None]]
    )
    sessions: Sequence[str | None] = chance.choice([["s1"], ["s1", "s2", "s3"], ["s1", "s2", None, ""], [None]])
    owners: Sequence[str | None] = chance.choice([[None], ["mia"], ["ana", "zoe", None, "3f2a-88c1"]])
    sizes = chance.choice([[0], [8], [8], [0, 8], [8, 8, 8, 4], [4, 0], [8, -8]])
    texts = TEXTS if chance.random() < 0.7 else chance.sample(TEXTS, 4)
    kept = chance.random() < 0.5
    found = []
    for number, key in enumerate(some_keys(chance, count)):
        text = chance.choice(texts)
        speaker, size = chance.choice(names), chance.choice(sizes)
        turn = chance.random() < 0.8
        when = None if chance.random() < 0.2 else STARTED + 43_200.0 * chance.randrange(40)
        when = chance.choice([when, when, when, 5e14, 0.0])
        terms = text.split() if "broken" in text else index_terms(text, speaker, when)
        vector = np.array([chance.gauss(0, 1) for _ in range(abs(size))], dtype=np.float32)
        if size:
            vector /= np.linalg.norm(vector) if size > 0 else np.inf
        found.append(
            Candidate(
                key,
                text,
                terms if chance.random() < 0.3 else " ".join(terms),
                speaker,
                chance.choice(roles),
                chance.choice(sessions),
                chance.choice([number // 2, number // 4, number % 4, number]) if turn else None,
                when,
                vector if size else None,
                traits=traits_of(text, terms) if kept else None,
                owner=chance.choice(owners),
            )
        )
    return found


@pytest.mark.parametrize("seed", range(12))
def test_generated_memories_rank_as_one_by_one(seed: int) -> None:
    chance = random.Random(seed)
    for text in QUERIES:
        offset = chance.choice([0.0, 32_400.0])
        query = msgspec.structs.replace(analyse_query(text, ASKED), utc_offset=offset)
        if text == "broken half":
            query = msgspec.structs.replace(query, terms=("broken", "\udfff"), words=("broken", "\udfff"))
        candidates = some(chance)
        asked = np.array([chance.gauss(0, 1) for _ in range(8)], dtype=np.float32)
        vector = chance.choice([None, asked / np.linalg.norm(asked), asked * 0])
        frequency = {term: chance.randrange(30) for term in query.terms if chance.random() < 0.5}
        stats = CorpusStats(chance.choice([0, 100]), chance.choice([0.0, 7.5]), frequency)
        weights = RankingWeights(vector_floor=chance.choice([0.0, 0.4]), alone=chance.choice([0.5, 0.0]))
        # Columns of more memories, of which some are taken, in any order.
        more = [msgspec.structs.replace(each, key=f"more{n}") for n, each in enumerate(some(chance))]
        whole = [*candidates, *more]
        order = chance.sample(range(len(whole)), len(whole))
        taken = Columns.of([whole[place] for place in order]).take([order.index(n) for n in range(len(candidates))])
        assert taken.keys == [each.key for each in candidates]
        assert [taken.text(row) for row in range(len(taken))] == [each.text for each in candidates]
        check(query, vector, candidates, stats, weights)
        check(query, vector, candidates, stats, weights, taken)


def talk(*said: tuple[str, str]) -> list[Candidate]:
    """Turns of one session without speakers' names: role and text."""
    return [
        Candidate(n, text, " ".join(index_terms(text)), role=role, session="s", position=n)
        for n, (role, text) in enumerate(said)
    ]


@pytest.mark.parametrize(
    ("question", "said", "stage", "keys"),
    [
        ("Does Ana sail?", [("a", "Hey Ana!"), ("b", "I sail"), ("a", "Hi Ana, so?")], "speaker", {1}),
        ("Does Ana sail?", [("a", "Hey dear Ana!"), ("b", "I sail"), ("a", "Hi my Ana, so?")], "speaker", {1}),
        ("Does Ana sail?", [("a", "Hey 3.5 Ana!"), ("b", "I sail"), ("a", "Hi 2.5 Ana, so?")], "speaker", set()),
        ("Does Ana sail?", [("a", "Hey Ana!"), ("b", "I sail"), ("b", "Hi Ana, so?")], "speaker", set()),
        ("Does Ana sail?", [("a", "Hey Ana!"), ("b", "I sail"), ("a", "Ana sails?")], "speaker", set()),
        ("Живёт ли Зоя тут?", [("a", "Hello Зоя!"), ("b", "Я живу тут"), ("a", "Hi Зоя, да?")], "speaker", {1}),
        ('Who likes "black coffee"?', [("a", "It was black"), ("b", "coffee, and black coffee")], "lexical", {0, 1}),
        ('Who likes "black coffee"?', [("a", "The cat is black"), ("b", "coffee is fine")], "lexical", {0, 1}),
    ],
)
def test_names_in_greetings_and_phrases_count_as_one_by_one(
    question: str, said: list[tuple[str, str]], stage: str, keys: set[int]
) -> None:
    turns = talk(*said)
    query, stats = analyse_query(question), CorpusStats(documents=9)
    check(query, None, turns, stats, RankingWeights(first_person=0.0))
    ranked = rank(query, None, turns, stats, RankingWeights(first_person=0.0))
    assert {each.key for each in ranked if each.breakdown[stage]} == keys


@pytest.mark.parametrize(
    ("other", "label", "users"),
    [("user", "Mia", True), ("assistant", "Ben", True), ("assistant", "Mia", False), ("user", "Ben", False)],
)
def test_a_label_is_the_users_name_if_theirs_all_have_it_and_no_others(other: str, label: str, users: bool) -> None:
    said = [("user", "Mia", "Good day"), (other, label, "I like tea")]
    turns = [Candidate(n, t, index_terms(t), s, r, "s", n) for n, (r, s, t) in enumerate(said)]
    memories = [*turns, Candidate(2, "User drinks coffee", index_terms("User drinks coffee"))]
    query, stats = analyse_query("What does Mia drink?"), CorpusStats(documents=9)
    check(query, None, memories, stats, RankingWeights(first_person=0.0))
    ranked = rank(query, None, memories, stats, RankingWeights(first_person=0.0))
    assert [each.breakdown["speaker"] > 0 for each in ranked if each.key == 2] == [users]


@pytest.mark.parametrize("seed", range(40))
def test_columns_put_together_are_those_made_together(seed: int) -> None:
    chance = random.Random(seed)
    given = [some(chance) for _ in range(chance.randint(1, 4))]
    whole = [each for number, part in enumerate(given) for each in other_keys(part, number)]
    ends = np.cumsum([0, *map(len, given)]).tolist()
    parts = [Columns.of(whole[start:end]) for start, end in itertools.pairwise(ends)]
    made, joined = Columns.of(whole), Columns.concat(parts)
    for name in ("row", "place", "speaker", "role", "session", "owner", "position", "when", "traits"):
        assert np.array_equal(getattr(joined, name), getattr(made, name), equal_nan=name == "when"), name
    for name in ("keys", "speakers", "roles", "sessions", "owners"):
        assert getattr(joined, name) == getattr(made, name), name
    assert joined.words.vocabulary.words == made.words.vocabulary.words
    assert np.array_equal(joined.words.numbers, made.words.numbers)
    assert np.array_equal(joined.words.sizes, made.words.sizes)
    assert list(map(joined.text, range(len(whole)))) == [each.text for each in whole]
    assert joined.vectors.keys() == made.vectors.keys()
    for size, kept in made.vectors.items():
        assert all(map(np.array_equal, joined.vectors[size], kept))
    # Slices, in any order, of which most is left out; then more, and a slice of that.
    rows = [chance.sample(range(len(part)), chance.randint(1, len(part))) for part in parts]
    again = Columns.concat([joined.take([]), *(part.take(own) for part, own in zip(parts, rows, strict=True))])
    taken = [whole[start + row] for start, own in zip(ends, rows, strict=False) for row in own]
    query = analyse_query(chance.choice(QUERIES), ASKED)
    vector = np.array([chance.gauss(0, 1) for _ in range(8)], dtype=np.float32)
    check(query, vector / np.linalg.norm(vector), taken, CorpusStats(documents=99), columns=again)


def test_two_continuations_of_the_same_columns_do_not_disturb_each_other() -> None:
    """They share the numbers of words, and each adds its own."""
    first = Columns.of([Candidate(0, "", "red boat"), Candidate(1, "", "")])
    known = len(first.words.vocabulary.words)
    others = [Columns.of([Candidate(2, "", "blue boat")]), Columns.of([Candidate(2, "", "green boat red")])]
    blue, green = (Columns.concat([first, other]) for other in others)
    assert [blue.words.terms(row) for row in range(3)] == [("red", "boat"), (), ("blue", "boat")]
    assert [green.words.terms(row) for row in range(3)] == [("red", "boat"), (), ("green", "boat", "red")]
    assert [first.words.terms(row) for row in range(2)] == [("red", "boat"), ()]
    assert len(first.words.vocabulary.words) == known
    assert blue.words.holding(["green"]).tolist() == [False] * 3
    assert green.words.count(["blue", "green", "boat"]).tolist() == [1, 0, 2]
    longer = Columns.concat([blue, Columns.of([Candidate(3, "", "green kite")])])
    assert longer.words.terms(3) == ("green", "kite")
    assert longer.words.holding(["green", "kite"]).tolist() == [False, False, False, True]


def other_keys(memories: Sequence[Candidate], number: int) -> list[Candidate]:
    """The memories with keys that no other part has, of the same kinds."""
    return [
        msgspec.structs.replace(
            each, key=f"{each.key} {number}" if isinstance(each.key, str) else each.key + 99 * number
        )
        for each in memories
    ]


def test_texts_kept_elsewhere_are_read_from_the_parts_or_by_the_rows_of_all() -> None:
    memories = [Candidate(n, f"text {n}", "") for n in range(5)]
    elsewhere = Columns.of(memories[:3], text_of=lambda row: f"far {row}").take([2, 0])
    joined = Columns.concat([elsewhere, Columns.of(memories[3:])]).take([3, 1, 0, 2])
    assert list(map(joined.text, range(4))) == ["text 4", "far 0", "far 2", "text 3"]
    joined = Columns.concat([elsewhere, Columns.of(memories[3:])], text_of=lambda row: f"row {row}").take([3, 0])
    assert [joined.text(0), joined.text(1)] == ["row 3", "row 0"]


def test_vectors_in_half_precision_are_kept_so_and_rank_as_in_single() -> None:
    chance = np.random.default_rng(5)
    vectors = chance.normal(size=(41, 16)).astype(np.float16)
    vectors /= np.linalg.norm(vectors.astype(np.float32), axis=1, keepdims=True).astype(np.float16)
    half = [Candidate(n, "tea", "tea", session="s", position=n, vector=vectors[n]) for n in range(40)]
    single = [msgspec.structs.replace(each, vector=vectors[n].astype(np.float32)) for n, each in enumerate(half)]
    columns = Columns.concat([Columns.of(half[:7]), Columns.of(half[7:])])
    assert columns.vectors[16].matrix.dtype == np.float16
    check(analyse_query("tea"), vectors[40].astype(np.float32), single, CorpusStats(documents=40), columns=columns)


@pytest.mark.skipif(not DATA.is_file(), reason="needs LoCoMo (MEMHOST_EVAL_DATA)")
@pytest.mark.parametrize("shape", ["a", "b", "c"])
@pytest.mark.parametrize("number", range(5))
def test_conversations_of_two_friends_rank_as_one_by_one(shape: str, number: int) -> None:
    embedder = StaticEmbedder()
    scope = load_scope(json.loads(DATA.read_text(encoding="utf-8"))[number], shape, captions=True, embedder=embedder)
    columns = Columns.of(scope.turns)
    mean = float(columns.words.sizes.mean())
    for place, question in enumerate(scope.questions[number::30]):
        query = question.query
        vector = embedder.embed_now([query.embedding_text])[0]
        stats = CorpusStats(len(scope.turns), mean, {term: scope.frequency[term] for term in query_terms(query)})
        rows = choose(scope, question, vector, (4, 20, 100)[place % 3])
        check(query, vector, [scope.turns[row] for row in rows], stats, columns=columns.take(rows))


def test_no_rows_give_no_hits() -> None:
    columns = Columns.of([Candidate(1, "tea", ["tea"])]).take([])
    assert rank(analyse_query("tea"), None, columns, CorpusStats(documents=1)) == []
    assert len(Columns.of([])) == len(rank_columns(analyse_query("tea"), None, columns, CorpusStats(1)).rows) == 0


def test_texts_kept_elsewhere_are_asked_for_where_they_are_needed() -> None:
    asked: list[int] = []

    def text_of(row: int) -> str:
        asked.append(row)
        return ("It cost $45.", "It cost much.")[row]

    memories = [Candidate(n, "", ["cost"], traits=0) for n in range(2)]
    columns = Columns.of(memories, text_of=text_of)
    assert rank(analyse_query("cost"), None, columns, CorpusStats(documents=2))
    assert not asked
    prices = rank(analyse_query("How much did it cost?"), None, columns.take([1, 0]), CorpusStats(documents=2))
    assert sorted(asked) == [0, 1]
    assert [each.key for each in prices if each.breakdown["expected"]] == [0]


def test_vectors_of_lengths_that_are_not_asked_for_are_left_out() -> None:
    memories = [Candidate(n, "", "", vector=np.ones(n, dtype=np.float32)) for n in (1, 2, 3, 2)]
    assert {size: each.at.tolist() for size, each in Columns.of(memories).vectors.items()} == {
        1: [0, -1, -1, -1],
        2: [-1, 0, -1, 1],
        3: [-1, -1, 0, -1],
    }
    assert list(Columns.of(memories, dimensions=2).vectors) == [2]
    assert not Columns.of(memories, dimensions=0).vectors
