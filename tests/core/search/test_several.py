"""Questions that ask for several things, and twice as many that do not."""

from __future__ import annotations

import pytest

from memhost.ranking import DEFAULT_WEIGHTS, FEATURES, Candidate, CorpusStats, feature_matrix
from memhost.ranking.several import asks_for_several
from memhost.text.analysis import analyse_query, index_terms

SEVERAL = [
    "Which cities has Ana visited?",
    "What activities does Ana do with her family?",
    "What books has Ana read?",
    "What kinds of art does Ana make?",
    "What kind of books does Ana like?",
    "What are Ana's hobbies?",
    "What were the names of her dogs?",
    "Which two instruments does Ana play?",
    "What has Ana painted so far?",
    "Where has Ana been on holiday?",
    "Who has Ana met at the club?",
    "How many children does Ana have?",
    "How many times did Ana move?",
    "In what ways does Ana help her neighbours?",
    "List the countries that I have been to",
    "Name all restaurants that Ana recommended.",
    "What else did Ana cook?",
    "What sports do both Ana and Ben play?",
    "What areas of the U.S. has Ana been to?",
    "Which people have written to Ana?",
]

ONE = [
    "Where does Ana live?",
    "When did Ana visit the museum?",
    "What is Ana's job?",
    "What did Ana cook on Sunday?",
    "Who is Ana's dentist?",
    "Which city did Ana move to?",
    "What kind of car does Ana drive?",
    "What type of pizza is Ana's favourite?",
    "How long has Ana been married?",
    "How many years has Ana worked there?",
    "How many hours does the flight take?",
    "How many miles did Ana run?",
    "How much does the ticket cost?",
    "How old are Ana's twins?",
    "What does Ana do to relax?",
    "What news did Ana bring?",
    "What process does Ana follow?",
    "Which bus does Ana take?",
    "Which class is Ana in?",
    "What is the address of the clinic?",
    "Why has Ana sold her house?",
    "Has Ana read the books?",
    "Did Ana like the films?",
    "Is it true that Ana has two brothers?",
    "When are the holidays?",
    "What time has Ana booked?",
    "What has been wrong with the heater?",
    "What has to happen first?",
    "Which activity has Ana given up?",
    "What business has Ana opened?",
    "Whose glasses are these?",
    "Which jeans did Ana buy?",
    "What glasses does Ana wear?",
    "Which headphones does Ana use?",
    "List price of the car in dollars",
    "Name of the one who feeds Ana's dogs",
    "What's the name of my wife's dentist?",
    "What is Ana doing these days?",
    "How does Ana feel about her exams?",
    "weather in Paris",
    "wedding plans",
    "recipes with lentils",
    "Remind me of the PIN for the garage",
    "Wie viele Kinder hat Ana?",
    "Welche Städte hat Ana besucht?",
    "¿Qué libros ha leído Ana?",
    "Quels livres Ana a-t-elle lus ?",
    "Какие города посетила Анна?",
    "安娜去过哪些城市？",
]


@pytest.mark.parametrize("text", SEVERAL)
def test_plurals_lists_and_what_was_done_so_far_ask_for_several(text: str) -> None:
    assert asks_for_several(analyse_query(text))


@pytest.mark.parametrize("text", ONE)
def test_questions_in_the_singular_measures_and_other_languages_ask_for_one(text: str) -> None:
    assert not asks_for_several(analyse_query(text))


@pytest.mark.parametrize(("text", "several"), [("Which cities did Ana visit?", True), ("Which city is it?", False)])
def test_a_session_counts_apart_for_questions_that_ask_for_several(text: str, several: bool) -> None:
    turns = [
        Candidate(n, said, index_terms(said), session="s", position=n) for n, said in enumerate(["A city.", "So."])
    ]
    columns = feature_matrix(analyse_query(text), None, turns, CorpusStats(documents=9), DEFAULT_WEIGHTS).T
    session = columns[FEATURES.index("session")]
    assert session.min() > 0.0
    assert columns[FEATURES.index("session_several")].tolist() == (session * several).tolist()


def test_there_are_twice_as_many_for_one() -> None:
    assert len(ONE) >= 2 * len(SEVERAL)
