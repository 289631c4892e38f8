"""Small talk is told from what carries something, in many languages."""

from __future__ import annotations

import pytest

from memhost.text.small_talk import is_small_talk, name_forms, without_small_talk

NAMES = name_forms(["Melanie", "Sam", "Анна"])

SMALL = (
    """
Take care, Sam!|Bye for now|Hi Mel!|Hey! How are you?|Thanks a lot, Melanie!|You're welcome.|Congrats!|Good night
Wow, that's great!
Sounds good, talk to you later!|Danke schön!|Hallo Sam, wie geht es dir?|Tschüss, bis bald!
Merci beaucoup, à bientôt !|Bonjour
Hola, ¿qué tal?|Muchas gracias|Ciao, grazie mille!|Obrigado, até logo!|Bedankt!|Dzień dobry|Спасибо, Анна!
Привет! Как дела?|До свидания
Teşekkürler!|Günaydın|شكرا جزيلا|مرحبا! كيف حالك؟|你好！|谢谢你，再见！|ありがとうございます！|こんにちは|감사합니다
안녕하세요!
""".strip()
    .replace("\n", "|")
    .split("|")
)

CARRYING = (
    """
Thanks for the recipe!|Great Dane|Hi, I moved to Porto.|I take care of my mother.|Good luck charm|Yes|No|Yes, I do.
Not good|Sure, on Monday.
Congrats on the new job!|Cool, the Prius is mine now|See you on Friday|Welcome to Lisbon
Bye, I'm off to swim with the kids|Hey Jude by the Beatles
How are you paying?|Sam|Mel and Sam|Nice is in France|Good morning yoga at seven|Wonderful Copenhagen
Have a good recipe?|OK Computer|Happy
Danke für das Buch|Hallo Welt ist mein erstes Programm|Wie geht es deiner Mutter?|Gute Nacht heißt das Lied
Schönen Urlaub in Rom|Nein
Merci pour le livre|Bonjour Tristesse de Sagan|Je prends soin de ma mère|Comment ça va à Lyon ?|Oui
Super marché à Nantes
Gracias por el libro|Hola, vivo en Madrid|¿Cómo está tu madre?|Buenas noticias de Ana|Sí, claro|Buenos Aires
Grazie per il libro|Ciao è il suo cane|Come sta tua madre?|Obrigado pelo livro|Bom dia é o nome do café
Bedankt voor het boek
Спасибо за книгу|Привет из Казани|Как дела у мамы?|Пока не знаю|Нет|Анна|Dziękuję za książkę|Kitap için teşekkürler
Harika bir kitap
شكرا على الكتاب|كيف حال أمك؟|你好世界是书名|谢谢你的礼物|我很好|不|再见了北京|本をありがとう
こんにちは赤ちゃんという歌|いいえ
책 고마워요|안녕 서울|아니요|👍|42|2026-03-01|...|
""".strip()
    .replace("\n", "|")
    .split("|")
)


@pytest.mark.parametrize("text", SMALL)
def test_small_talk_is_recognised(text: str) -> None:
    assert is_small_talk(text, NAMES)
    assert without_small_talk(text, NAMES) == ""


@pytest.mark.parametrize("text", CARRYING)
def test_what_carries_something_is_kept(text: str) -> None:
    assert not is_small_talk(text, NAMES)


def test_there_are_twice_as_many_texts_to_keep() -> None:
    assert len(CARRYING) >= 2 * len(SMALL)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Hey Mel! Good to see you! How have you been? I went to Rome.", "I went to Rome."),
        ("I went to Rome. Talk to you later!", "I went to Rome."),
        ("Danke! Ich wohne in Kiel. Bis bald!", "Ich wohne in Kiel."),
        ("谢谢！我住在北京。再见！", "我住在北京。"),
        ("I went to Rome. Thanks! It was hot.", "I went to Rome. Thanks! It was hot."),
        ("I pay 2.5 euros. Bye!", "I pay 2.5 euros."),
        ("Mr. Smith is my doctor", "Mr. Smith is my doctor"),
        ("Thanks for the book. I read it.", "Thanks for the book. I read it."),
        ("No. I did not.", "No. I did not."),
        ("", ""),
    ],
)
def test_only_sentences_of_small_talk_around_a_text_go(text: str, left: str) -> None:
    assert without_small_talk(text, NAMES) == left


def test_short_forms_of_names_are_names() -> None:
    assert {"mel", "melanie", "sam", "анна"} <= NAMES
    assert "me" not in NAMES
