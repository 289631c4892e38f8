"""Whose words a question asks for."""

from __future__ import annotations

import pytest

from memhost.text.analysis import analyse_query


@pytest.mark.parametrize(
    ("query", "whose"),
    [
        ("What is my budget for books?", "own"),
        ("Have I ever met Kelly?", "own"),
        ("Can you list the order in which I brought up my projects?", "own"),
        ("I recommended a movie before, what was it?", "own"),
        ("Wann sind wir in die neue Wohnung umgezogen?", "own"),
        ("Quel est mon plat préféré ?", "own"),
        ("我最喜欢的颜色是什么？", "own"),
        ("MY BUDGET FOR BOOKS?", "own"),
        ("My budget for The Lord of the Rings?", "own"),
        ("When did I watch My Fair Lady?", "own"),
        ("Wann habe ich Mein Kampf gelesen?", "own"),
        ("我之前推荐过什么电影？", "own"),
        ("Где я работаю сейчас?", "own"),
        ("What painters did you recommend to me?", "other"),
        ("Which book have you suggested?", "other"),
        ("Did you ever recommend a dentist?", "other"),
        ("What have you already told about Rome?", "other"),
        ("What was your advice about my knee?", "other"),
        ("Welches Restaurant hast du mir empfohlen?", "other"),
        ("Quel livre m'as-tu conseillé, tu m'as dit quoi ?", "other"),
        ("¿Qué restaurante me recomendaste el otro día?", "other"),
        ("你之前给我推荐了什么书？", "other"),
        ("Что ты мне посоветовал почитать?", "other"),
    ],
)
def test_questions_of_the_user_about_themselves_or_the_answers(query: str, whose: str) -> None:
    assert analyse_query(query).perspective == whose


@pytest.mark.parametrize(
    "query",
    [
        "Where did Evan stay in Jasper?",
        "What does Mia drink?",
        "Who recommended the restaurant to Sam?",
        "What did Caroline tell Melanie?",
        "Can you summarise the meeting?",
        "What would you cook for ten guests?",
        "Could you list the open points?",
        "Do you speak Dutch?",
        "Which advice helped Ben?",
        "The story of Ida",
        "MI5 headquarters",
        "us open winner",
        "Idaho potatoes",
        "Wo wohnt die Schwester von Jonas?",
        "Was hat Lotte dem Nachbarn empfohlen?",
        "Kannst du die Termine auflisten?",
        "Welche Meinung hat der Meister?",
        "Où habite la sœur de Paul ?",
        "Qui a recommandé ce livre à Anne ?",
        "¿Dónde vive la hermana de Luis?",
        "¿Quién recomendó el libro a Ana?",
        "Кто посоветовал Ивану эту книгу?",
        "Где живёт сестра Марии?",
        "约翰住在哪里？",
        "谁推荐了这本书给小王？",
        "猫はどこで寝ますか",
        "Josh Norman kaç tane top çalmıştır?",
        "",
        "7",
        "noon",
        "weight of the parcel",
        "Who wrote My Fair Lady?",
        "When was We Will Rock You released?",
        'Who sings "Me and my shadow"?',
        "Wer schrieb Mein Kampf?",
        "Wer singt „Mein kleiner grüner Kaktus“?",
        "¿Quién canta Me gustas tú?",
        "谁写了《我的前半生》？",
        "Кто поёт «Моя любовь»?",
        "the mine near Kiruna is closed",
        "Who is Meyer?",
    ],
)
def test_other_questions_are_nobodys_in_particular(query: str) -> None:
    assert analyse_query(query).perspective == ""
