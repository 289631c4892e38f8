"""Questions about a speaker in the first person, and the many that stay as they are."""

from __future__ import annotations

import pytest

from memhost.text.analysis import analyse_query
from memhost.text.first_person import in_first_person, possible_speakers

SPEAKERS = frozenset({"caroline", "melanie", "james", "will", "anna", "schmidt", "hope", "jurgen", "мария", "ayse"})
"""Folded, as they are compared."""


def asked(text: str, speakers: frozenset[str] = SPEAKERS) -> str:
    query = analyse_query(text)
    return in_first_person(query, speakers.intersection(possible_speakers(query)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("When did Caroline go to the support group?", "When did I go to the support group?"),
        ("when did caroline go to the support group", "when did I go to the support group"),
        ("What is Caroline's favourite book?", "What is my favourite book?"),
        ("What is James’ sister called?", "What is my sister called?"),
        ("Where is Melanie working?", "Where am I working?"),
        ("Who is Melanie?", "Who am I?"),
        ("What does James eat for breakfast?", "What do I eat for breakfast?"),
        ("What has James been painting?", "What have I been painting?"),
        ("Who went hiking with Caroline?", "Who went hiking with me?"),
        ("Why did Anna Schmidt move, and does Anna like it?", "Why did I move, and do I like it?"),
        ("What was the reading that Caroline attended about?", "What was the reading that I attended about?"),
        ('When did Melanie read "Nothing is Impossible"?', 'When did I read "Nothing is Impossible"?'),
        ("Who gave Jürgen the guitar?", "Who gave me the guitar?"),
    ],
)
def test_a_question_about_one_speaker_is_asked_by_that_speaker(text: str, expected: str) -> None:
    assert asked(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        # nobody who speaks is named
        "When did Ana go to the support group?",
        "What is the name of the support group?",
        # several
        "What did Caroline and Melanie cook together?",
        "What did James suggest to Anna?",
        "Is James's dog older than Anna's?",
        # the one who asks, or is asked, is somebody already
        "What did Caroline tell me about Rome?",
        "Did I meet Melanie in Rome?",
        "Caroline, when did you go camping?",
        "What do you know of James?",
        # no name of a speaker, though it is spelled like one
        "When will the shop open?",
        "When Will It Rain?",
        "how did the hope fade",
        "how can a will be contested",
        "Where are the Caroline Islands?",
        "Who made the film with Melanie Griffith?",
        "How deep is Lake Caroline?",
        "Which boat is called Melanie?",
        "Who has a sister named Anna?",
        "How old is his Anna?",
        "When did the band play 'Sweet Caroline' and \"Caroline, No\"?",
        # no question
        "Caroline support group",
        "Melanie",
        "",
        # other languages: nobody has measured it there
        "Wann ging Anna zur Selbsthilfegruppe?",
        "Wo wohnt Jürgen Schmidt seit letztem Jahr?",
        "Quand est-ce que Caroline est allée au groupe de soutien ?",
        "¿Cuándo fue Caroline al grupo de apoyo?",
        "Quando Caroline è andata al gruppo di sostegno?",
        "Когда Мария ходила в группу поддержки?",
        "Ayşe destek grubuna ne zaman gitti?",
        "卡罗琳什么时候去了互助小组？",
        "キャロラインはいつサポートグループに行きましたか?",
        # too long to be a question about one person
        "What did Caroline do? " * 60,
    ],
)
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert asked(text) == text


def test_the_store_is_asked_about_few_words() -> None:
    assert possible_speakers(analyse_query("When did Caroline visit the museum in May?")) == ("caroline",)
    assert possible_speakers(analyse_query("when did caroline visit rome")) == ("caroline", "visit", "rome")
    assert possible_speakers(analyse_query("When did it rain?")) == ()
    assert possible_speakers(analyse_query("wann hat es geregnet")) == ()
