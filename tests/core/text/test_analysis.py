import random
from datetime import UTC, datetime

import pytest
from snowballstemmer.english_stemmer import EnglishStemmer

from memhost.text.analysis import (
    analyse_query,
    date_terms,
    index_terms,
    query_terms,
    speaker_terms,
    split_speaker,
    wholly_quoted,
)
from memhost.text.languages import stem_in
from memhost.text.temporal.written import find_dates
from memhost.text.tokens import pieces, stem, stems, tokenize
from memhost.text.unicode_forms import fold

NOON = datetime(2021, 3, 9, 12, tzinfo=UTC).timestamp()


def test_words_that_threads_stem_at_once_do_not_mix(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = EnglishStemmer._stem
    others = ["running", "happily"]

    def interrupted(stemmer: EnglishStemmer) -> None:
        """Stem another word in the middle of this one, as another thread would."""
        if others:
            stem_in.__wrapped__(others.pop(), "en")
        whole(stemmer)

    monkeypatch.setattr(EnglishStemmer, "_stem", interrupted)
    assert stem_in.__wrapped__("generalizations", "en") == "general"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("Red cars", ["red", "cars"], id="plain"),
        pytest.param("the dog's bone", ["the", "dog", "bone"], id="possessive"),
        pytest.param("don\u2019t, don't", ["dont", "dont"], id="both-apostrophes"),
        pytest.param("well-known snake_case", ["well", "known", "snake", "case"], id="hyphen-underscore"),
        pytest.param("1,250 at 3.5 kg", ["1250", "at", "3.5", "kg"], id="numbers"),
        pytest.param("Cr\u00e8me br\u00fbl\u00e9e", ["creme", "brulee"], id="accents"),
        pytest.param("\uff21\uff22\uff23\u3000\uff11", ["abc", "1"], id="full-width"),
        pytest.param("Stra\u00dfe", ["strasse"], id="case-folding"),
        pytest.param("\u6771\u4eac\u99c5", ["\u6771\u4eac", "\u4eac\u99c5"], id="bigrams"),
        pytest.param("\u6c34", ["\u6c34"], id="lone-character"),
        pytest.param("iPhone\u6d4b\u8bd5 ok", ["iphone", "\u6d4b\u8bd5", "ok"], id="mixed-scripts"),
        pytest.param(
            "\u0939\u093f\u0928\u094d\u0926\u0940", ["\u0939\u093f\u0928\u094d\u0926\u0940"], id="vowel-signs"
        ),
        pytest.param("", [], id="empty"),
        pytest.param("?!... --", [], id="punctuation"),
    ],
)
def test_tokenize_splits_folded_words(text: str, expected: list[str]) -> None:
    assert tokenize(text) == expected


def test_plain_text_is_split_alike_beside_other_scripts() -> None:
    text = "It's 1,000 o'clock: e-mail me at 10:30, won't you? v2.0 4x4 a_b"
    assert tokenize(text + " \u03b1") == [*tokenize(text), "\u03b1"]


def test_fold_is_idempotent() -> None:
    for text in ("\u00c9cole", "\u0130stanbul", "\ufb01sh", "plain"):
        assert fold(fold(text)) == fold(text)


def test_endless_tokens_are_cut() -> None:
    assert len(tokenize("a" * 10_000)[0]) == 64


def test_inflected_forms_share_a_stem() -> None:
    assert stem("painting") == stem("painted") == stem("paints")
    assert stem("2021") == "2021"


def test_index_keeps_every_word_in_order_and_marks_last() -> None:
    terms = index_terms("I was at the lake", "Ada", NOON)
    assert terms[:5] == stems("I was at the lake")
    assert terms[5] == "zspada"
    assert "zdt20210309" in terms
    assert "zdt202103" in terms
    assert all(term.isalnum() for term in terms)


def test_index_terms_without_speaker_and_time_are_the_stems() -> None:
    assert index_terms("two words") == stems("two words")


def test_date_terms_tolerate_impossible_times() -> None:
    assert date_terms(None) == []
    assert date_terms(1e30) == []
    assert date_terms(float("nan")) == []


def test_speaker_terms_one_for_each_word() -> None:
    assert speaker_terms("Ada Lovelace") == ["zspada", "zsplovelace"]
    assert speaker_terms(None) == []


@pytest.mark.parametrize(
    ("text", "name", "body"),
    [
        pytest.param("Ada: hello there", "Ada", "hello there", id="name"),
        pytest.param("Ada Lovelace: hello", "Ada Lovelace", "hello", id="two-words"),
        pytest.param("Dr. Anne-Marie O'Neil: yes", "Dr. Anne-Marie O'Neil", "yes", id="title-hyphen-apostrophe"),
        pytest.param("\u674e\u96f7: \u4f60\u597d", "\u674e\u96f7", "\u4f60\u597d", id="uncased-script"),
        pytest.param("\u00c9lodie: salut", "\u00c9lodie", "salut", id="accent"),
        pytest.param("**Ada**: bold", "Ada", "bold", id="markdown"),
        pytest.param("[Ada]: bracketed", "Ada", "bracketed", id="brackets"),
        pytest.param("user: hi", "user", "hi", id="role"),
        pytest.param("Ada: first\nsecond: line", "Ada", "first\nsecond: line", id="keeps-later-lines"),
    ],
)
def test_speaker_prefix_is_split_off(text: str, name: str, body: str) -> None:
    assert split_speaker(text) == (name, body)


@pytest.mark.parametrize(
    "text",
    [
        "Note: buy milk",
        "TODO: call",
        "Subject: Re: lunch",
        "http://example.org/a",
        "https: see below",
        "10:30 is fine",
        "Meet at 10: bring food",
        "lower: case",
        "I need one thing: time",
        "Ada said this morning that it rains: really",
        "Ada:nospace",
        "Ada:",
        "Ada:   ",
        "no colon at all",
        "The Plan: go home",
        "",
    ],
)
def test_other_colons_name_no_speaker(text: str) -> None:
    assert split_speaker(text) == (None, text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("on 8 May, 2021", [(2021, 5, 8)], id="day-month-year"),
        pytest.param("May 8th, 2021", [(2021, 5, 8)], id="month-day-year"),
        pytest.param("the 3rd of June", [(0, 6, 3)], id="day-of-month"),
        pytest.param("in May 2021", [(2021, 5, 0)], id="month-year"),
        pytest.param("in august", [(0, 8, 0)], id="month-alone"),
        pytest.param("2021-05-08 and 2020-01", [(2021, 5, 8), (2020, 1, 0)], id="iso"),
        pytest.param("back in 2019", [(2019, 0, 0)], id="year"),
        pytest.param("between 1 March and 5 April 2020", [(0, 3, 1), (2020, 4, 5)], id="two"),
        pytest.param("may I march on", [], id="verbs"),
        pytest.param("42 people, 7 cats", [], id="numbers"),
    ],
)
def test_dates_are_found(text: str, expected: list[tuple[int, int, int]]) -> None:
    assert find_dates(text) == expected


def test_query_for_a_month_finds_terms_of_a_turn_in_it() -> None:
    query = analyse_query("What happened in March 2021?")
    assert set(query.date_terms) & set(index_terms("x", None, NOON)) == {"zdt2021", "zdt202103"}
    assert set(analyse_query("on the 9th of March").date_terms) <= set(date_terms(NOON))


def test_stop_words_are_dropped_unless_nothing_else_is_left() -> None:
    assert analyse_query("What did the baker sell?").terms == (stem("baker"), stem("sell"))
    assert analyse_query("who are you").terms == ("who", "are", "you")
    assert analyse_query("").terms == ()


def test_repeated_words_count_once() -> None:
    query = analyse_query("cats and cat and CATS")
    assert query.terms == ("cat",)
    assert query.words == ("cats",)


def test_quoted_phrases_are_recognised() -> None:
    query = analyse_query('who wrote "the red book" and \u201cBlue Nights\u201d?')
    assert query.phrases == (tuple(stems("the red book")), tuple(stems("blue nights")))
    assert analyse_query("it's the dog's toy").phrases == ()


@pytest.mark.parametrize(
    "marks",
    [
        '""',
        "\u201c\u201d",
        "\u201e\u201c",
        "\u201e\u201d",
        "\u201d\u201d",
        "\u00ab\u00bb",
        "\u300c\u300d",
        "\u300e\u300f",
    ],
)
def test_phrases_are_quoted_as_languages_do(marks: str) -> None:
    phrase = f"{marks[0]}blue nights{marks[1]}"
    assert analyse_query(f"who wrote {phrase}?").phrases == (("blue", "night"),)
    assert wholly_quoted(f" {phrase}") == "blue nights"
    for other in (
        f"who wrote {marks[0]}blue nights?",
        f"{marks[1]}blue nights {marks[0]}"[1:],
        f"{phrase[:-1]}\n{marks[1]}",
    ):
        assert analyse_query(other).phrases == ()


@pytest.mark.parametrize(
    "text", ['is it 5" or 6" wide', "5\u201d and 6\u201d", "the dogs' and cats' toys", "5' 11'' tall"]
)
def test_inches_and_apostrophes_quote_nothing(text: str) -> None:
    assert analyse_query(text).phrases == ()


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("姉の猫はどこにいますか", {"姉", "猫"}),
        ("鍵はどこでなくした？", {"鍵"}),
        ("犬が好き", {"犬", "好"}),
    ],
)
def test_words_of_one_character_in_japanese_questions_are_terms(text: str, terms: set[str]) -> None:
    assert {term for term in analyse_query(text).terms if len(term) == 1} == terms


@pytest.mark.parametrize(
    "text", ["私の名前は？", "会議の内容は？", "東京に住んでいますか", "今日はどう？", "カメラを買いました", "桜木町へ"]
)
def test_parts_of_longer_words_and_pronouns_are_none(text: str) -> None:
    found = [term for term in analyse_query(text).terms if len(term) == 1]
    assert found in ([], ["住"], ["買"])


def test_where_something_is_asks_for_the_thing_in_chinese() -> None:
    assert analyse_query("鸟在哪里").terms == ("鸟",)
    assert analyse_query("在家里").terms == ("在家", "家里")


@pytest.mark.parametrize(
    ("text", "wants"),
    [
        ("When did it start?", "time"),
        ("What year was that?", "time"),
        ("How many cats?", "number"),
        ("Who came?", "person"),
        ("Where was it?", "place"),
        ("What is love?", ""),
    ],
)
def test_expected_kind_of_answer(text: str, wants: str) -> None:
    assert analyse_query(text).wants == wants


def test_query_terms_hold_words_names_and_dates_once() -> None:
    terms = query_terms(analyse_query("Did Ada swim in May 2021, Ada?"))
    assert "zspada" in terms
    assert "zdt202105" in terms
    assert stem("swim") in terms
    assert len(terms) == len(set(terms))


def test_embedding_text_leaves_out_stop_words() -> None:
    assert analyse_query("When did Ada buy the boat?").embedding_text == "ada buy boat"


@pytest.mark.parametrize(
    "signs",
    [
        "abcXYZ019.,'-_ \n\t \u00e9\u00df\u00f1日本語の東京ガーデン한국어กขคั \u0301\u3099ﬁＡ①     ",
        "日本語の東京都ガ、。한국어\u3099 ",
        "ab c12.5,",
        "аб вг\u0306д",
    ],
)
def test_pieces_have_the_tokens_of_the_whole(signs: str) -> None:
    chance = random.Random(5)
    for _ in range(300):
        text = "".join(chance.choice(signs) for _ in range(chance.randint(0, 600)))
        parts = list(pieces(text, chance.choice((70, 80, 100))))
        assert [token for part in parts for token in tokenize(part)] == tokenize(text)


def test_long_texts_are_cut() -> None:
    for text in ("tea and cake " * 20_000, "茶と菓子" * 50_000, "чай и торт\n" * 20_000):
        assert max(map(len, pieces(text))) <= 32_768
        assert len(list(pieces(text))) > 3
    assert list(pieces("a" * 100_000)) == ["a" * 100_000]
    assert list(pieces("")) == [""]
