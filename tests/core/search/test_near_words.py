"""Words that mean alike: what they lift, and twice as many pairs that they must not lift."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import memhost.ranking.near_words as near_words_module
from memhost.ranking import DEFAULT_WEIGHTS, FEATURES, Candidate, CorpusStats, feature_matrix
from memhost.ranking.near_words import near_words
from memhost.text.analysis import analyse_query, index_terms
from memhost.text.tokens import stem

STATS = CorpusStats(documents=1000, average_length=8.0)
VECTOR = np.array([1.0, 0.0], dtype=np.float32)


def lifted(query: str, *texts: str, meaning: bool = True) -> list[tuple[float, float]]:
    """The two features of each text, which are turns of one session."""
    turns = [
        Candidate(n, text, index_terms(text), role="user", session="s", position=n, vector=VECTOR)
        for n, text in enumerate(texts)
    ]
    asked = VECTOR if meaning else None
    matrix = feature_matrix(analyse_query(query), asked, turns, STATS, DEFAULT_WEIGHTS)
    own, near = FEATURES.index("alike"), FEATURES.index("alike_near")
    return [(float(row[own]), float(row[near])) for row in matrix]


ALIKE = [
    ("When is the wedding?", "She will be the most beautiful bride."),
    ("What is Ana's job?", "My career at the bank goes well."),
    ("Which doctor does Ana see?", "The physician said that I should rest."),
    ("What car does Ana drive?", "I parked my vehicle behind the station."),
    ("What did the kids eat?", "The children had pancakes."),
    ("Why was Ana sick?", "I was ill all week, a bad cold."),
    ("What did Ana purchase?", "I bought a lamp for my desk."),
    ("Which movie did Ana like?", "The film about the lighthouse moved me."),
    ("Where did Ana travel?", "The trip to the lakes was quiet."),
    ("What paintings are by Ana?", "I finished the artwork for the hall."),
    ("How is Ana's dog?", "The puppy has grown."),
    ("What hobbies does Ana have?", "For leisure I build kites."),
    ("Was Ana happy about the prize?", "I was thrilled when they called me."),
    ("What is Ana afraid of?", "I am scared of heights."),
    ("Which photo did Ana show?", "I took this picture on the roof."),
    ("Is Ana's uncle rich?", "He is wealthy, with three houses."),
    ("Which shop does Ana like?", "The corner store has good bread."),
    ("When is Ana's flight?", "The plane leaves at nine."),
    ("What exercise does Ana do?", "My workout is rowing."),
    ("Which lawyer helped Ana?", "The attorney wrote a letter."),
]

APART = [
    *(
        (f"Is the {one} one ready?", f"Take the {other} one from the shelf.")
        for one, other in (
            ("hot", "cold"),
            ("warm", "cold"),
            ("big", "small"),
            ("old", "new"),
            ("old", "young"),
            ("cheap", "expensive"),
            ("easy", "difficult"),
            ("fast", "slow"),
            ("strong", "weak"),
            ("safe", "dangerous"),
            ("red", "blue"),
            ("green", "yellow"),
            ("black", "white"),
            ("alive", "dead"),
            ("indoor", "outdoor"),
            ("happy", "unhappy"),
        )
    ),
    ("Did Ana win?", "They lose every match."),
    ("What did Ana buy?", "We sell furniture."),
    ("Does Ana love opera?", "I hate crowds."),
    ("Did prices increase?", "They decrease each spring."),
    ("Did Ana accept?", "I refuse such offers."),
    ("Is Ana married?", "He is divorced."),
    ("Is Ana married?", "He is still single."),
    ("Who is Ana's brother?", "My sister plays chess."),
    ("Where does Ana's uncle live?", "My cousin lives by the sea."),
    ("Where does Ana's husband work?", "His wife is a baker."),
    ("What does the cat eat?", "The dog barks at night."),
    ("Does Ana drink tea?", "Coffee keeps me awake."),
    ("What is for breakfast?", "We had soup at dinner."),
    ("Does Ana play the guitar?", "The piano is out of tune."),
    ("Does Ana play tennis?", "We watched soccer."),
    ("What is in the kitchen?", "The bedroom is too dark."),
    ("Is Ana's arm better?", "My leg hurts."),
    ("Does Ana go by bicycle?", "The bus was late."),
    ("What does the doctor say?", "The nurse was kind."),
    ("What happened on Monday?", "We met again on Tuesday."),
    ("What is planned in March?", "The roof was mended in April."),
    ("Did two come?", "Only three chairs were left."),
    ("Did twelve come?", "We were ten at the table."),
    ("Is it a mile away?", "The pool is fifty meters long."),
    ("Does it weigh a kilogram?", "It has two pounds."),
    ("Was Ana in Paris?", "London was foggy."),
    ("Was Ana in Berlin?", "We moved to Munich."),
    ("Was Ana in France?", "Germany has many lakes."),
    ("Does Ana speak German?", "My French is poor."),
    ("What did Michael cook?", "John burnt the rice."),
    ("what did michael cook?", "john burnt the rice."),
    ("was ana in paris?", "london was foggy."),
    # A name that is a word: Rose is no flower, Bill no invoice.
    ("What did my friend Rose say?", "The flower on the sill needs water."),
    ("Did our neighbour Bill call?", "I paid the invoice."),
    # Other languages, with words that English has too.
    ("Wann ist die Hochzeit im Restaurant?", "The bride ate dinner."),
    ("¿Qué hotel le gusta a mi madre?", "The lodging was clean."),
    ("Quelle table est réservée au restaurant ?", "We had dinner at a desk."),
    ("Что за фильм мы смотрели?", "The movie was long."),
    # Nothing in common.
    ("When is the wedding?", "The invoice is in the drawer."),
    ("What is Ana's job?", "It rained all night."),
]


@pytest.mark.parametrize(("query", "text"), ALIKE)
def test_word_of_like_meaning_lifts_a_turn_and_its_neighbours(query: str, text: str) -> None:
    (before, beside), (own, near), *_ = lifted(query, "Hm, well.", text)
    assert own > 0.0
    assert near > 0.0
    assert before == 0.0
    assert beside > 0.0


@pytest.mark.parametrize(("query", "text"), APART)
def test_opposites_alternatives_names_and_other_languages_lift_nothing(query: str, text: str) -> None:
    assert lifted(query, "Hm, well.", text) == [(0.0, 0.0), (0.0, 0.0)]


@pytest.mark.parametrize(("query", "text"), ALIKE)
def test_word_itself_is_not_lifted_further_and_searches_by_words_know_no_meaning(query: str, text: str) -> None:
    assert lifted(query, query)[0] == (0.0, 0.0)
    assert lifted(query, text, meaning=False)[0] == (0.0, 0.0)


def test_words_nearby_add_only_what_the_words_themselves_have_not_covered() -> None:
    ((own, near),) = lifted("Which doctor was at the clinic?", "The physician waits at the clinic.")
    assert 0.0 < own < 1.0
    assert near == pytest.approx(own)


def test_there_are_twice_as_many_cases_apart() -> None:
    assert len(APART) >= 2 * len(ALIKE)


def test_nearness_is_above_0_and_at_most_1_and_the_list_is_of_stems() -> None:
    near = near_words("job")
    assert near
    assert all(0.0 < nearness <= 1.0 for nearness in near.values())
    assert near_words("nosuchword") == {}
    assert all(stem(word) == word or near_words(word) for word in near)


def test_each_line_of_the_list_is_found() -> None:
    lines = Path(near_words_module.__file__ or "").with_suffix(".txt").read_text(encoding="utf-8").splitlines()
    for line in lines:
        stem, *pairs = line.split(" ")
        near = near_words(stem)
        assert set(near) == {pair.split("=")[0] for pair in pairs}
        assert all(0.0 < nearness <= 1.0 for nearness in near.values())
    assert not any(near_words(stem) for stem in ("", "a", "zzz", "tea=", "aback startl", "не", "\ud800"))
