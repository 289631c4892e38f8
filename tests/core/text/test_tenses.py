"""Questions of the present, and questions of the past beside them."""

from __future__ import annotations

import pytest

from memhost.text.analysis import analyse_query
from memhost.text.tenses import asks_of_now

NOW = """
Where do I live?
What is my job?
Who's my dentist?
Which phone do I use now?
Wo wohne ich?
Wie heißt mein Arzt?
Où habite-t-elle ?
¿Dónde vivo?
Dove abito?
Onde moro?
Waar woon ik?
Gdzie mieszkam?
Где я живу?
Nerede yaşıyorum?
मैं कहाँ रहता हूँ?
我住在哪里？
私はどこに住んでいますか？
나는 어디에 살아?
What is the last name of my boss?
Was ist mein Gewicht?
Welches Gehalt bekomme ich?
Où est-ce que j'habite ?
Qu'est-ce que je bois ?
Où est Marie ?
Quelles sont mes informations de vol ?
¿Qué coche tengo?
¿Qué día tengo clase?
¿Cuál es mi compañía de teléfono?
¿Cómo se llama mi tía?
Qual é a minha companhia?
Qual é o meu número?
Quem é minha tia?
Qual è la mia macchina?
Che macchina ho?
Cosa bevo?
Dove vivo?
Dove devo andare?
Wat is mijn gewicht?
Wat is mijn favoriete kleur?
Hoeveel geld heb ik?
Сколько стоит моя школа?
Πού μένω;
Ποιο είναι το αυτοκίνητό μου;
Tôi sống ở đâu?
Xe của tôi là gì?
ฉันอาศัยอยู่ที่ไหน
รถของฉันคือยี่ห้ออะไร
"""
NOT_NOW = """
Where did I live?
Where was I born?
What was my job before?
Who had the key first?
Where have I lived?
What did Mia drink?
What is the oldest phone I used?
When do I go?
Which phone did I use back then?
my phone
notes on the roof
Wo habe ich gewohnt?
Wo war ich?
Was hatte ich früher?
Wer hat das gebaut?
Mein Arzt
Où ai-je habité ?
Où habitait-elle ?
mon médecin
¿Dónde viví antes?
¿Dónde vivía?
¿Qué fue eso?
Dove abitavo?
Dove ho abitato?
Onde morava?
Onde morei?
Waar woonde ik?
Waar heb ik gewoond?
Gdzie mieszkałem?
Gdzie mieszkałam wcześniej?
Где я жил?
Где она жила раньше?
Nerede yaşadım?
मैं कहाँ रहता था?
我以前住在哪里？
我去过哪里？
私はどこに住んでいましたか？
昔どこに住んでいた？
나는 어디에 살았어?
예전에 어디 갔어?
What was the last name of my boss?
What Did My Sister Say?
Hi Tom. Did I say where the key is?
Was war mein Gewicht?
Welches Gehalt habe ich bekommen?
Wo bin ich geboren?
Wo hat Gerda gearbeitet?
Où est-ce que j'ai habité ?
Où est-ce que j'habitais ?
Qu'est-ce que je buvais ?
Qu'est-ce que Marie a bu ?
Qui est venu ?
Où étions-nous ?
Quelles étaient mes informations de vol ?
¿Qué coche tenía?
¿Qué coche compré?
¿Qué comía mi tía?
¿Qué día llegó Ana?
¿Quién la quería?
¿Cuál era mi compañía de teléfono?
¿Cómo se llamaba mi tía?
¿Qué bebiste?
Qual era a minha companhia?
Onde eu vivia?
O que fazia minha tia?
Quem a conhecia?
Qual foi o meu número?
O que eu comprei?
Quem chegou?
Qual era la mia macchina?
Che macchina avevo?
Che macchina ho comprato?
Cosa bevevo?
Cosa ho bevuto?
Dove vivevo?
Dove scriveva Anna?
Dove dovevo andare?
Wat was mijn gewicht?
Wat kostte het huis?
Wat heb ik gegeten?
Waar werkte ik?
Waar woonden de katten?
Hoeveel geld had ik?
Welke auto heb ik gekocht?
Где стояла моя школа?
Кто купил стол?
Какая школа мне нравилась?
Πού έμενα;
Πού ζούσα;
Ποιο ήταν το αυτοκίνητό μου;
Τι αγόρασα;
Πότε πάω;
Πού μένω από πέρυσι;
Tôi đã sống ở đâu?
Tôi từng sống ở đâu?
Xe cũ của tôi là gì?
Trước đây tôi sống ở đâu?
ฉันเคยอาศัยอยู่ที่ไหน
รถเก่าของฉันคืออะไร
เมื่อก่อนฉันอยู่ที่ไหน
ฉันกินอะไรไปแล้ว
"""


@pytest.mark.parametrize("text", NOW.strip().split("\n"))
def test_a_question_of_the_present(text: str) -> None:
    assert asks_of_now(text)
    assert analyse_query(text).of_now


@pytest.mark.parametrize("text", NOT_NOW.strip().split("\n"))
def test_other_texts_ask_of_no_present(text: str) -> None:
    assert not asks_of_now(text)


def test_a_question_with_a_date_asks_of_that_date() -> None:
    for text in ("Where do I live in 2024?", "What is on 3 March 2026?", "what do I do before 2026"):
        assert not analyse_query(text).of_now, text
    assert not asks_of_now("Where do I live? " * 100)


def test_there_are_twice_as_many_others() -> None:
    assert len(NOT_NOW.strip().split("\n")) >= 2 * len(NOW.strip().split("\n"))
