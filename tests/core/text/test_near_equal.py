"""Which texts say the same word for word, and which must never be taken for one, in many languages."""

from __future__ import annotations

import pytest

from memhost.text.near_equal import ending, near_form
from tests.support.statements import TWO_STATEMENTS

SAME = [
    ("I ran five kilometres today.", "i ran five kilometres today"),
    ("I ran five kilometres today.", "I ran five  kilometres today!!"),
    ("Hi, I ran five kilometres today.", "I ran five kilometres today."),
    ("Good morning! my flight leaves at 7:40", "My flight leaves at 7:40"),
    ("Well, yes, I think so", "well yes I think so."),
    ("I'm allergic to nuts.", "Hey there, i'm allergic to nuts."),
    ("Is Tom coming, too?", "is Tom coming too?"),
    ("Hallo, ich esse kein Fleisch.", "Ich esse kein Fleisch"),
    ("Guten Morgen! Die Tür klemmt wieder.", "die Tür klemmt wieder"),
    ("Bonjour, je suis végétarien.", "Je suis végétarien !"),
    ("Hola, vivo en Madrid desde mayo.", "Vivo en Madrid desde mayo"),
    ("Ciao! abito a Roma adesso", "Abito a Roma adesso."),
    ("Olá, moro em São Paulo agora.", "moro em Sa\u0303o Paulo agora"),
    ("Привет, я живу в Москве.", "Я живу в Москве!"),
    ("你好，我今天跑了五公里。", "我今天跑了五公里"),
    ("こんにちは。今日は五キロ走りました。", "今日は五キロ走りました"),
    ("안녕하세요, 저는 서울에 살아요.", "저는 서울에 살아요"),
    ("مرحبا، أنا أعيش في دبي الآن.", "أنا أعيش في دبي الآن"),
    ("नमस्ते, मैं दिल्ली में रहता हूँ।", "मैं दिल्ली में रहता हूँ"),
]
ONLY_A_SIGN = {"Anna is pregnant!", "Anna is pregnant…", "Anna is pregnant.."}
"""An exclamation is the same in a list of what was said, and not in one of facts."""
DIFFERENT = [
    *(pair for pair in TWO_STATEMENTS if pair[0] not in ONLY_A_SIGN),
    ("I paid 50 euros for it.", "I paid 60 euros for it."),
    ("I paid 1,500 euros for it.", "I paid 15,00 euros for it."),
    ("It was -5 degrees outside.", "It was 5 degrees outside."),
    ("The meeting is on 3 May.", "The meeting is on 13 May."),
    ("My sister Anna lives here.", "My sister Hanna lives here."),
    ("Hello Kitty is my favourite.", "Kitty is my favourite."),
    ("Hi is my shortest word.", "is my shortest word."),
    ("Is Tom coming too?", "Is Tom coming too."),
    ("I work in IT now.", "I work in it now."),
    ("The code is aBcD now.", "The code is abcd now."),
    ("I will not come today.", "I will come today."),
    ("Ich komme morgen nicht mit.", "Ich komme morgen mit."),
    ("Je ne viens pas demain.", "Je viens demain."),
    ("No voy a la fiesta.", "Voy a la fiesta."),
    ("我今天没跑五公里。", "我今天跑了五公里。"),
    ("Я не живу в Москве.", "Я живу в Москве."),
    ("Yes!", "Yes."),
    ("OK, fine.", "ok fine"),
    ("好的。", "好的！"),
    ("- milk\n- eggs and bread", "- milk - eggs and bread"),
    ('She said "no" to me.', "She said no to me."),
    ("I love this so much 😊", "I love this so much 😢"),
    ("El papá vive en Roma ahora.", "El papa vive en Roma ahora."),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_a_capital_a_sign_and_a_greeting_change_nothing(one: str, other: str) -> None:
    assert near_form(one) == near_form(other)
    assert ending(one) == ending(other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_everything_else_does(one: str, other: str) -> None:
    assert near_form(one) != near_form(other)


def test_there_are_more_pairs_that_differ() -> None:
    assert len(DIFFERENT) >= 2 * len(SAME)


def test_long_texts_count_as_they_are() -> None:
    long = "Every word of it counts. " * 100
    assert near_form(long) == long
