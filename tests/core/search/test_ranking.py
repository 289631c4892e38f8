import math
from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest

from memhost.ranking import (
    DEFAULT_WEIGHTS,
    FEATURES,
    Candidate,
    CorpusStats,
    Ranked,
    RankingWeights,
    feature_matrix,
    rank,
    traits_of,
)
from memhost.ranking.prices import names_price
from memhost.ranking.score import _STAGES
from memhost.ranking.traits import ENDING, fingerprint
from memhost.ranking.types import Vector
from memhost.text.analysis import analyse_query, index_terms

STATS = CorpusStats(documents=1000, average_length=8.0)


def day(year: int, month: int, number: int) -> float:
    return datetime(year, month, number, 12, tzinfo=UTC).timestamp()


def turn(
    key: int | str,
    text: str,
    position: int | None = 0,
    session: str | None = "s1",
    *,
    speaker: str | None = None,
    role: str | None = None,
    when: float | None = None,
    vector: Vector | None = None,
) -> Candidate:
    terms = index_terms(text, speaker, when)
    return Candidate(key, text, terms, speaker, role, session, position, when, vector)


def fact(key: int | str, text: str) -> Candidate:
    return msgspec.structs.replace(turn(key, text, None, None), memory_type="semantic")


def keys(ranked: list[Ranked]) -> list[int | str]:
    return [entry.key for entry in ranked]


def ask(text: str, *candidates: Candidate, weights: RankingWeights = DEFAULT_WEIGHTS) -> list[Ranked]:
    return rank(analyse_query(text), None, candidates, STATS, weights)


TALK = (
    turn(0, "Good morning!", 0, speaker="Ada", role="user"),
    turn(1, "What did you do at the weekend?", 1, speaker="Ben", role="assistant"),
    turn(2, "We sailed to the island with my brother.", 2, speaker="Ada", role="user"),
    turn(3, "That must have been windy.", 3, speaker="Ben", role="assistant"),
    turn(4, "I repaired my old bicycle.", 0, "s2", speaker="Ben", role="assistant"),
    turn(5, "Ask me about bread some day.", 1, "s2", speaker="Ada", role="user"),
)


def test_no_candidates_give_no_hits() -> None:
    assert ask("anything") == []


def test_turn_with_the_words_asked_for_comes_first() -> None:
    assert ask("Who sailed to the island?", *TALK)[0].key == 2


def test_inflected_form_and_word_that_begins_alike_match() -> None:
    hits = ask("sailing", turn(1, "I like soup", 0), turn(2, "we sail often", 9))
    assert keys(hits) == [2, 1]
    hits = ask("photography", turn(1, "I like soup", 0), turn(2, "nice photo", 9))
    assert keys(hits) == [2, 1]


def seen(ranked: list[Ranked]) -> list[tuple[int | str, float, dict[str, float]]]:
    """What users see of a ranking: the order, and scores as far as they are printed."""
    return [
        (each.key, round(each.score, 6), {stage: round(value, 6) for stage, value in each.breakdown.items()})
        for each in ranked
    ]


def test_order_of_candidates_does_not_matter() -> None:
    forward = ask("bicycle on the island", *TALK)
    assert seen(forward) == seen(ask("bicycle on the island", *reversed(TALK)))


@pytest.mark.parametrize("seed", range(5))
def test_shuffled_candidates_with_vectors_rank_alike_and_equal_ones_stand_by_their_keys(seed: int) -> None:
    chance = np.random.default_rng(seed)
    words = ["island", "sail", "brother", "bicycle", "museum", "concert", "garden", "wedding", "doctor", "guitar"]
    vectors = chance.normal(size=(40, 96)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    candidates = [
        turn(f"k{number:03}", " ".join(chance.choice(words, 7)), number % 7, f"s{number // 7}", vector=vectors[number])
        for number in range(36)
    ]
    # The same memory eleven times, spread over the places that a processor's wide registers treat differently.
    same = [msgspec.structs.replace(fact(f"same{n:02}", "sail with the guitar"), vector=vectors[38]) for n in range(11)]
    question = analyse_query("bicycle sail to the island with my brother and a guitar in the garden of the museum")
    rankings = []
    for _ in range(4):
        shuffled = [*candidates, *same]
        chance.shuffle(shuffled)
        rankings.append(rank(question, vectors[39], shuffled, STATS))
    assert all(seen(each) == seen(rankings[0]) for each in rankings)
    equal = [each for each in rankings[0] if str(each.key).startswith("same")]
    assert [each.key for each in equal] == [each.key for each in same]
    assert len({each.score for each in equal}) == 1


def test_equal_scores_are_put_in_order_of_keys() -> None:
    same = [turn(key, "red apple", 9, f"s{key}") for key in ("b", "a", 2, 1)]
    assert keys(ask("pear", *same)) == [1, 2, "a", "b"]


def test_scores_fall_along_the_ranking_and_lie_between_0_and_1() -> None:
    scores = [hit.score for hit in ask("When did Ada sail to the island in May 2021?", *TALK)]
    assert scores == sorted(scores, reverse=True)
    assert all(0.0 < score < 1.0 for score in scores)


def test_unrelated_query_scores_low_and_best_hit_is_not_scaled_to_one() -> None:
    good = ask("sailed to the island with my brother", *TALK)[0].score
    poor = ask("quarterly tax declaration", *TALK)[0].score
    assert poor < 0.15
    assert poor < good / 4


def test_breakdown_sums_to_the_score() -> None:
    for hit in ask('When did Ada say "the island" in May 2021?', *TALK):
        total = sum(hit.breakdown.values())
        assert hit.score == pytest.approx(1.0 / (1.0 + math.exp(-total)))
    assert {"lexical", "semantic", "context", "session", "speaker", "date", "prior"} <= set(hit.breakdown)


def test_breakdown_is_empty_when_not_asked_for_and_limit_cuts() -> None:
    query = analyse_query("island")
    hits = rank(query, None, TALK, STATS, limit=2, explain=False)
    assert keys(hits) == keys(rank(query, None, TALK, STATS))[:2]
    assert all(hit.breakdown == {} for hit in hits)


def test_terms_as_text_rank_like_terms_as_list() -> None:
    joined = [msgspec.structs.replace(c, terms=" ".join(c.terms), traits=traits_of(c.text, c.terms)) for c in TALK]
    assert ask("brother on the island", *joined) == ask("brother on the island", *TALK)


def test_answer_to_a_matching_question_is_lifted() -> None:
    before = (turn(1, "What colour is the boat?", 3), turn(2, "Green, of course", 4))
    other = (turn(3, "It is late", 3, "s2"), turn(4, "Green, of course", 4, "s2"))
    order = keys(ask("colour of the boat", *before, *other))
    assert order.index(2) < order.index(4)


def test_neighbours_count_only_within_a_session() -> None:
    apart = (turn(1, "the boat", 4, "s1"), turn(2, "Green", 5, "s2"), turn(3, "Green", 5, "s1"))
    order = keys(ask("boat", *apart))
    assert order == [1, 3, 2]


def test_session_about_the_topic_is_preferred() -> None:
    on_topic = [turn(n, "boat and harbour", n + 5, "s1") for n in range(4)] + [turn(10, "blue paint", 20, "s1")]
    off_topic = [turn(20 + n, "bread and butter", n + 5, "s2") for n in range(4)] + [turn(30, "blue paint", 20, "s2")]
    order = keys(ask("boat paint", *off_topic, *on_topic))
    assert order.index(10) < order.index(30)


def test_named_speaker_is_preferred() -> None:
    hits = ask(
        "What does Ben grow?",
        turn(1, "I grow beans", 5, "s1", speaker="Ada"),
        turn(2, "I grow beans", 5, "s2", speaker="Ben"),
    )
    assert keys(hits) == [2, 1]
    assert hits[0].breakdown["speaker"] > hits[1].breakdown["speaker"]


def test_naming_two_speakers_prefers_neither() -> None:
    hits = ask(
        "What do Ada and Ben grow?",
        turn(1, "I grow beans", 5, "s1", speaker="Ada"),
        turn(2, "I grow beans", 5, "s2", speaker="Ben"),
    )
    assert hits[0].score == hits[1].score


def test_name_is_tied_to_a_role_by_greetings() -> None:
    greetings = [turn(n, "Hey Ada, how are you?", 0, f"g{n}", role="assistant") for n in range(3)]
    hits = ask(
        "What does Ada grow?",
        *greetings,
        turn(10, "I grow beans", 5, "s1", role="assistant"),
        turn(11, "I grow beans", 5, "s2", role="user"),
    )
    assert keys(hits)[:2] == [11, 10]


def test_name_that_nobody_is_greeted_by_is_tied_to_no_role() -> None:
    hits = ask(
        "What does Ada grow?",
        turn(10, "I grow beans", 5, "s1", role="assistant"),
        turn(11, "I grow beans", 5, "s2", role="user"),
    )
    assert hits[0].score == hits[1].score


def test_date_of_the_turn_matches_the_date_asked_for() -> None:
    turns = [turn(m, "we met again", 5, f"s{m}", when=day(2021, m, 9)) for m in (3, 4, 5)]
    assert ask("What happened in April 2021?", *turns)[0].key == 4
    assert ask("What happened in 2021?", *turns)[0].breakdown["date"] > 0
    assert ask("What happened in April 2020?", *turns)[0].breakdown["date"] == 0


def test_turn_shortly_after_the_day_asked_for_is_preferred() -> None:
    turns = [turn(d, "we met again", 5, f"s{d}", when=day(2021, 4, d)) for d in (2, 12, 27)]
    assert ask("Whom did they meet on 10 April 2021?", *turns)[0].key == 12


def test_date_written_at_the_start_of_a_session_dates_it() -> None:
    now = day(2030, 1, 1)
    opening = turn(1, "[9 April 2021] Hello", 0, "s1", when=now)
    told = [turn(2, "we met again", 5, "s1", when=now), turn(3, "we met again", 5, "s2", when=now)]
    ranked = {hit.key: hit for hit in ask("Whom did they meet in April 2021?", opening, *told)}
    assert ranked[2].breakdown["date"] > ranked[3].breakdown["date"] == 0


def test_impossible_times_and_dates_are_ignored() -> None:
    odd = [
        turn(n, "[31 February 2021] x", 0, f"s{n}", when=when) for n, when in enumerate((1e300, -1e300, float("inf")))
    ]
    assert len(ask("on 30 February 2021", *odd)) == 3


@pytest.mark.parametrize(
    ("question", "with_it", "without"),
    [
        ("When did they paint it?", "they painted it yesterday", "they painted it badly"),
        ("How many did they paint?", "they painted seven there", "they painted some there"),
        ("Where did they paint?", "they painted in Oslo", "they painted in oslo"),
        ("Who did they paint?", "they painted old Olaf", "they painted old olaf"),
    ],
)
def test_expected_kind_of_answer_is_preferred(question: str, with_it: str, without: str) -> None:
    assert ask(question, turn(1, without, 5, "s1"), turn(2, with_it, 5, "s2"))[0].key == 2


def test_statement_is_preferred_to_question() -> None:
    assert keys(ask("old oak", turn(1, "The old oak?", 5, "s1"), turn(2, "The old oak.", 5, "s2"))) == [2, 1]


def test_quoted_phrase_must_stand_together_to_count() -> None:
    apart = turn(1, "a book that is red, the very red book cover of the book", 5, "s1")
    together = turn(2, "she lent me the red book", 5, "s2")
    hits = ask('what about "the red book"', apart, together)
    assert hits[0].key == 2


def test_nearer_vector_is_preferred() -> None:
    query = np.array([1.0, 0.0], dtype=np.float32)
    near = turn(1, "one", 5, "s1", vector=np.array([1.0, 0.0], dtype=np.float32))
    far = turn(2, "two", 5, "s2", vector=np.array([0.0, 1.0], dtype=np.float32))
    none = turn(3, "six", 5, "s3")
    hits = rank(analyse_query("unknown"), query, [none, far, near], STATS)
    assert hits[0].key == 1
    assert hits[0].breakdown["semantic"] == pytest.approx(
        (DEFAULT_WEIGHTS.vector + DEFAULT_WEIGHTS.centred) * DEFAULT_WEIGHTS.slope, abs=0.01
    )


def test_cosines_count_from_the_floor_of_the_embedder() -> None:
    query = np.array([1.0, 0.0], dtype=np.float32)
    weights = msgspec.structs.replace(DEFAULT_WEIGHTS, vector_floor=0.6, centred=0.0)
    unrelated = turn(1, "one", 5, "s1", vector=np.array([0.6, 0.8], dtype=np.float32))
    hit = rank(analyse_query("unknown"), query, [unrelated], STATS, weights)[0]
    assert hit.breakdown["semantic"] == pytest.approx(0.0, abs=1e-6)
    same = turn(1, "one", 5, "s1", vector=query)
    assert rank(analyse_query("unknown"), query, [same], STATS, weights)[0].nearness == pytest.approx(1.0)


def test_vectors_of_another_length_are_not_compared() -> None:
    query = np.array([1.0, 0.0], dtype=np.float32)
    other = turn(1, "one", 5, "s1", vector=np.array([1.0, 0.0, 0.0], dtype=np.float32))
    assert rank(analyse_query("unknown"), query, [other], STATS)[0].breakdown["semantic"] == 0


def test_memory_that_is_no_turn_competes_with_turns() -> None:
    stored = fact("f1", "Ada sailed to the island with her brother in May")
    hits = ask("Who sailed to the island with Ada?", *TALK, stored, fact("f2", "Ben likes bread"))
    assert {hit.key for hit in hits[:2]} == {"f1", 2}
    assert keys(hits).index("f2") > 2


def test_facts_naming_the_speaker_asked_for_get_the_speakers_bonus() -> None:
    hits = ask("What does Ben grow?", *TALK, fact("f1", "Ben grows beans"), fact("f2", "Somebody grows beans"))
    found = {hit.key: hit.breakdown["speaker"] for hit in hits}
    assert found["f1"] > found["f2"] == 0


def test_memories_without_session_are_not_neighbours_of_each_other() -> None:
    lone = [fact("a", "boat"), fact("b", "green")]
    assert ask("boat", *lone)[1].breakdown["context"] == 0


@pytest.mark.parametrize("name", FEATURES)
def test_weight_zero_switches_a_feature_off(name: str) -> None:
    weights = msgspec.structs.replace(
        DEFAULT_WEIGHTS, **{feature: (3.0 if feature == name else 0.0) for feature in FEATURES}
    )
    nothing = msgspec.structs.replace(weights, **{name: 0.0})
    hits = ask('When did Ada sail to "the island" on 9 May 2021?', *TALK, weights=nothing)
    assert len({hit.score for hit in hits}) == 1
    assert all(value == 0 for hit in hits for stage, value in hit.breakdown.items() if stage != "prior")


def test_weights_refuse_unknown_names() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"lexcal": 1.0}, RankingWeights)


def test_every_feature_counts_in_one_stage() -> None:
    assert sorted(name for members in _STAGES.values() for name in members) == sorted(FEATURES)


def test_features_have_a_weight_each_and_are_finite() -> None:
    query = analyse_query('How many boats did Ada have in May 2021, "the island"?')
    matrix = feature_matrix(query, None, [*TALK, fact("f", "")], CorpusStats(documents=0), DEFAULT_WEIGHTS)
    assert matrix.shape == (len(TALK) + 1, len(FEATURES))
    assert np.isfinite(matrix).all()
    assert all(hasattr(DEFAULT_WEIGHTS, name) for name in FEATURES)


def test_long_document_does_not_win_by_mere_length() -> None:
    filler = " ".join(f"filler{n} words" for n in range(600))
    document = fact("d", f"Ada {filler} boat {filler} repair {filler}")
    assert keys(ask("boat repair", document, turn(1, "I started the boat repair", 5)))[0] == 1


def test_rare_words_weigh_more_than_common_ones() -> None:
    query = analyse_query("zither lesson")
    stats = CorpusStats(1000, 3.0, {"zither": 2, "lesson": 400})
    hits = rank(query, None, [turn(1, "my lesson", 5, "s1"), turn(2, "my zither", 5, "s2")], stats)
    assert keys(hits) == [2, 1]


def test_empty_query_ranks_without_error() -> None:
    assert len(ask("", *TALK)) == len(TALK)
    assert len(ask("?!", *TALK)) == len(TALK)


def test_traits_see_through_a_trailing_caption() -> None:
    text = "Is that yours? [shows a kite]"
    assert traits_of(text, index_terms(text)) & 3 == 3
    assert traits_of("No? Yes.", index_terms("No? Yes.")) & 3 == 2


def test_traits_hold_the_ending_of_a_text() -> None:
    kept = [traits_of(text, index_terms(text)) for text in ("Hi, I live in Porto now.", "i live in Porto now")]
    assert kept[0] // ENDING == kept[1] // ENDING == fingerprint("I live in Porto now!")
    others = {fingerprint(f"I live in house number {number}.") for number in range(500)}
    assert len(others) == 500
    assert 0 < min(others) <= max(others) < 1 << 30
    assert fingerprint("") > 0


def opening(query: str, *candidates: Candidate) -> list[float]:
    matrix = feature_matrix(analyse_query(query), None, candidates, STATS, DEFAULT_WEIGHTS)
    return [float(value) for value in matrix[:, FEATURES.index("opening")]]


def test_an_opening_counts_in_a_conversation_and_in_a_short_one_only_with_the_words() -> None:
    def talk(turns: int, *, first: str = "We moved to Riga.") -> list[Candidate]:
        return [turn(n, first if n == 0 else "I see.", n) for n in range(turns)]

    assert opening("bicycle", *talk(12))[0] == opening("bicycle", *talk(30))[0] == 1
    assert opening("bicycle", *talk(3))[0] == pytest.approx(2 / 11)
    assert opening("bicycle", *talk(1))[0] == 0
    assert opening("Riga", *talk(3))[0] == pytest.approx(1)
    assert opening("bicycle in Riga", *talk(3))[0] == pytest.approx(2 / 11 + 9 / 11 * 0.5, abs=0.2)
    assert opening("bicycle", *talk(12))[1:] == [0] * 11
    assert opening("bicycle", fact(0, "We moved to Riga.")) == [0]


def test_what_shares_nothing_with_the_query_is_told_apart() -> None:
    far = [turn(n, "Something else entirely", n, "far") for n in range(5)]

    def sharing(query: str, *candidates: Candidate) -> set[int | str]:
        return {hit.key for hit in ask(query, *candidates) if hit.shares}

    alone = turn("a", "We photographed Riga.", 0, "near", speaker="Ada", when=day(2026, 3, 1))
    assert sharing("Riga", alone, *far) == {"a"}
    assert sharing("the bicycle of the neighbour in Riga in the old garden", alone, *far) == {"a"}
    assert sharing("photography", alone, *far) == {"a"}  # begins alike
    assert sharing("bicycle on 1 March 2026", alone, *far) == {"a"}
    assert sharing("bicycle of Ada", alone, *far) == {"a"}
    assert sharing('"we photographed"', alone, *far) == {"a"}
    assert sharing("bicycle", alone, *far) == set()


def test_nearness_is_that_of_each_candidate() -> None:
    vectors = np.eye(4, dtype=np.float32)
    candidates = [turn(n, "Riga" if n == 2 else "Something else", None, None, vector=vectors[n]) for n in range(4)]
    query = np.array([0.5, 0.1, 0.3, 0.8], dtype=np.float32)
    ranked = rank(analyse_query("Riga"), query, candidates, STATS)
    assert {hit.key: round(hit.nearness, 4) for hit in ranked} == {0: 0.5, 1: 0.1, 2: 0.3, 3: 0.8}


@pytest.mark.parametrize(
    "text",
    [
        "2,900 euros, with tyres", "It was $5.", "costs 12 USD", "EUR 40 each", "£320", "1.800 € im Monat", "150元",
        "90 000 рублей", "３０ yen", "40 złoty", "5k dollars", "2 Millionen Euro", "₹ 900", "1200 kr", "20 bucks",
    ],
)  # fmt: skip
def test_prices_are_recognised(text: str) -> None:
    assert names_price(text)


@pytest.mark.parametrize(
    "text",
    [
        "thirty-four years", "at 10:30", "on 3 May 2026", "12 planks", "room 5", "the euro fell", "dollars and cents",
        "3 km", "21 marchas", "400 grams", "order 5512", "5 krill", "7 realtors", "9 yenta", "2 wonders", "100 dinners",
        "version 3.12", "+49 30 1234", "USD", "price: unknown", "7 europeans", "3 poundcakes", "4 francophones", "",
        "в 90 000 километрах", "三百米", "8 centuries", "50 percent", "1 dollarwise", "6 kroketten",
    ],
)  # fmt: skip
def test_other_numbers_are_no_prices(text: str) -> None:
    assert not names_price(text)


@pytest.mark.parametrize(
    ("query", "wants"),
    [
        ("How much did the used car cost?", "price"),
        ("How expensive is the rent?", "price"),
        ("What is the salary?", "price"),
        ("Wie viel kostet das Klavier?", "price"),
        ("Combien coûte le vélo ?", "price"),
        ("¿Cuánto cuesta la bicicleta?", "price"),
        ("Quanto custa o aluguel?", "price"),
        ("Сколько стоит рояль?", "price"),
        ("多少钱", "price"),
        ("いくらですか", "price"),
        ("How much sleep does he get?", "number"),
        ("How many children does she have?", "number"),
        ("How old is Tess?", "number"),
        ("When did she pay a visit?", "time"),
        ("Who paid for dinner?", "person"),
        ("Where does he spend the summer?", "place"),
        ("Does he pay attention?", ""),
        ("Wie alt ist das Klavier?", ""),
        ("Сколько лет роялю?", ""),
        ("¿Cuántos hermanos tiene?", ""),
        ("the cost of living", ""),
        ("prices", ""),
    ],
)
def test_what_a_question_wants(query: str, wants: str) -> None:
    assert analyse_query(query).wants == wants


def test_who_asks_for_a_price_is_answered_with_one() -> None:
    hits = ask("How much did the camera cost?", fact(1, "It took two weeks."), fact(2, "640 dollars, with the bag."))
    assert keys(hits) == [2, 1]
    hits = ask("How much sleep does he get?", fact(2, "640 dollars, with the bag."), fact(1, "Seven hours of sleep."))
    assert keys(hits) == [1, 2]


@pytest.mark.parametrize(("user", "assistant"), [("user", "assistant"), ("human", "ai"), ("User", "Assistant")])
def test_whose_words_are_asked_for_is_told_by_any_name_of_the_roles(user: str, assistant: str) -> None:
    text = "The budget for books is 40."
    said = turn("u", text, 0, role=user), turn("a", text, 1, role=assistant)
    own = {hit.key: hit.breakdown["role"] for hit in ask("What is my budget for books?", *said)}
    assert own["u"] > own["a"] == 0
    told = {hit.key: hit.breakdown["role"] for hit in ask("Which budget for books did you suggest?", *said)}
    assert told["a"] > told["u"] == 0
    nobody = {hit.breakdown["role"] for hit in ask("Which budget for books was set?", *said)}
    assert nobody == {0}


@pytest.mark.parametrize(("longer", "helps"), [(1, False), (8, True)])
def test_turns_of_the_user_count_for_more_where_the_assistant_writes_at_length(longer: int, helps: bool) -> None:
    said = [
        turn(
            f"{role}{place}",
            "The budget for the garden is forty. " * (longer if role == "assistant" else 1),
            place,
            role=role,
        )
        for place, role in enumerate(("user", "assistant") * 3)
    ]
    found = ask("Which budget does the garden have?", *said)
    given = {hit.key: hit.breakdown["role"] for hit in found}
    assert (given["user0"] > given["assistant1"]) == helps
    assert str(found[0].key).startswith("user") or not helps


@pytest.mark.parametrize("role", ["tool", "system", "Ann", "", None])
def test_who_is_neither_user_nor_assistant_gains_nothing_by_whose_words_are_asked_for(role: str | None) -> None:
    said = turn("x", "The budget for books is 40.", 0, role=role), turn("y", "A budget for books.", 1, role=role)
    for query in ("What is my budget for books?", "Which budget for books did you suggest?"):
        assert {hit.breakdown["role"] for hit in ask(query, *said)} == {0.0}


def centred(query: Vector | None, *vectors: Vector | None) -> list[float]:
    candidates = [turn(n, "Something", None, None, vector=vector) for n, vector in enumerate(vectors)]
    matrix = feature_matrix(analyse_query("Riga"), query, candidates, STATS, DEFAULT_WEIGHTS)
    return [float(value) for value in matrix[:, FEATURES.index("centred")]]


def mixed(*parts: tuple[int, float]) -> Vector:
    vector = np.zeros(8, dtype=np.float32)
    for place, share in parts:
        vector[place] = share
    return vector / np.float32(np.linalg.norm(vector))


def test_what_all_candidates_share_counts_for_less_than_what_sets_one_apart() -> None:
    common = [mixed((0, 1.0), (2 + n % 5, 0.3)) for n in range(200)]
    asked = mixed((0, 1.0), (1, 0.4))
    alike, apart = mixed((0, 1.0)), mixed((0, 0.6), (1, 0.8))
    assert float(asked @ alike) > float(asked @ apart)
    near = centred(asked, *common, alike, apart)
    assert near[201] > 0.7 > near[200]
    assert max(near[:200]) < 0.3


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_few_candidates_have_nothing_in_common_yet(count: int) -> None:
    vectors = [mixed((0, 1.0), (n + 1, 0.5)) for n in range(count)]
    asked = mixed((0, 1.0), (1, 0.2))
    for near, vector in zip(centred(asked, *vectors), vectors, strict=True):
        assert near == pytest.approx(float(asked @ vector), abs=0.12)


def test_without_a_meaning_nothing_is_near() -> None:
    zeros = np.zeros(8, dtype=np.float32)
    unit, short = mixed((0, 1.0)), np.ones(1, dtype=np.float32)
    assert centred(None, unit, unit) == [0.0, 0.0]
    assert centred(zeros, unit, unit) == [0.0, 0.0]
    assert centred(unit, None, short, zeros, unit)[:3] == [0.0, 0.0, 0.0]


def test_equal_memories_are_equally_near_wherever_they_stand() -> None:
    generator = np.random.default_rng(7)
    rows = generator.normal(size=(40, 256)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    near = centred(rows[0], *rows[1:], *rows[1:])
    assert near[:39] == near[39:]
