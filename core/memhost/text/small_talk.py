"""Small talk: greetings, thanks and farewells, which say nothing that a memory could tell."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from memhost.text.unicode_forms import fold

_PHRASES = """
hey|hi|hello|hey there|hi there|hello there|howdy|thanks|thank you|thx|ty|thanks a lot|thanks so much|many thanks
thank you so much
thank you very much|bye|goodbye|bye bye|bye for now|see you|see ya|see you soon|see you later|see you around
see you then|talk to you soon
talk to you later|talk soon|talk later|talk to you then|catch you later|until next time|take care|take it easy
take care of yourself
good morning|good afternoon|good evening|good night|good luck|have a good day|have a great day|have a nice day
have a great weekend
have a good night|have a good one|have a great one|have fun|you too|same to you|youre welcome|you are welcome
no problem|no worries
my pleasure|anytime|wow|cool|awesome|amazing|wonderful|great|nice|lovely|haha|hahaha|lol|ok|okay|alright|sounds good
sounds great
glad to hear that|glad to hear it|happy to hear that|great to hear that|great to hear|good to hear|good to hear that
good to see you
great to see you|nice to see you|good to hear from you|great to hear from you|nice to hear from you|nice to meet you
how are you
how are you doing|how have you been|hows it going|how is it going|whats up|congrats|congratulations|welcome
welcome back|cheers
all the best|best wishes|i appreciate it|youre the best|thats great|thats awesome|thats amazing|thats wonderful
thats cool|thats nice
that is great|thats so cool|so cool|so nice|so great|great job|good job|well done|way to go|long time no see
hallo|guten morgen|guten tag|guten abend|gute nacht|danke|danke schön|dankeschön|vielen dank|danke dir|herzlichen dank
tschüss|tschüs
bis bald|bis dann|bis später|auf wiedersehen|machs gut|mach s gut|alles gute|viel glück|viel erfolg|viel spaß
gern geschehen
bitte schön|bitteschön|super|toll|klasse|prima|wie geht es dir|wie gehts|wie geht s|mir geht es gut|schönen tag
schönen tag noch
schönen abend|schönen abend noch|schönes wochenende|herzlichen glückwunsch|kein problem|servus|moin|freut mich
bonjour|salut|bonsoir|coucou|bonne nuit|bonne journée|bonne soirée|bonne chance|bon week end|merci|merci beaucoup
merci bien|au revoir
à bientôt|à plus|à plus tard|de rien|je t en prie|génial|félicitations|bravo|comment ça va|ça va|prends soin de toi
d accord|enchanté
hola|buenos días|buenas tardes|buenas noches|buenas|gracias|muchas gracias|mil gracias|adiós|hasta luego|hasta pronto
nos vemos|de nada
cuídate|genial|felicidades|qué tal|cómo estás|que tengas un buen día|buena suerte|chao|encantado|encantada
ciao|buongiorno|buonasera|buonanotte|buona notte|buona giornata|buona serata|buona fortuna|grazie|grazie mille
molte grazie|arrivederci
a presto|a dopo|prego|di niente|stammi bene|fantastico|complimenti|come stai|come va|piacere
olá|oi|bom dia|boa tarde|boa noite|boa sorte|obrigado|obrigada|muito obrigado|muito obrigada|tchau|até logo|até breve
até mais|cuide se
parabéns|tudo bem|como vai|legal
hoi|goedemorgen|goedemiddag|goedenavond|welterusten|dank je|dank je wel|dankjewel|bedankt|doei|tot ziens|tot straks
tot later|tot gauw
graag gedaan|succes|gefeliciteerd|hoe gaat het
cześć|hej|dzień dobry|dobry wieczór|dobranoc|dziękuję|dzięki|do widzenia|do zobaczenia|na razie|gratulacje|trzymaj się
powodzenia
привет|здравствуй|здравствуйте|добрый день|добрый вечер|доброе утро|спокойной ночи|доброй ночи|спасибо|большое спасибо
спасибо большое
пока|до свидания|до встречи|не за что|удачи|береги себя|поздравляю|супер|отлично|как дела|хорошего дня|всего доброго
merhaba|selam|günaydın|iyi günler|iyi geceler|iyi akşamlar|teşekkürler|teşekkür ederim|çok teşekkürler
çok teşekkür ederim|sağ ol
görüşürüz|hoşça kal|güle güle|rica ederim|kendine iyi bak|tebrikler|harika|süper|nasılsın
مرحبا|السلام عليكم|وعليكم السلام|صباح الخير|مساء الخير|تصبح على خير|شكرا|شكرا جزيلا|عفوا|مع السلامة|إلى اللقاء
كيف حالك|مبروك|رائع
你好|您好|早上好|晚上好|晚安|谢谢|谢谢你|非常感谢|多谢|再见|拜拜|不客气|回头见|保重|恭喜|太好了|好的|哈哈|哈哈哈
你好吗|没问题
こんにちは|こんばんは|おはよう|おはようございます|おやすみ|おやすみなさい|ありがとう|ありがとうございます
ありがとうございました|どうも
さようなら|またね|じゃあね|お疲れ様|お疲れ様です|お疲れ様でした|おめでとう|おめでとうございます|すごい|いいね
お元気ですか|どういたしまして
안녕|안녕하세요|안녕히 가세요|안녕히 계세요|감사합니다|고마워|고마워요|고맙습니다|잘 자|또 봐|또 봐요|축하해|축하해요
축하합니다|천만에요
"""
"""Phrases of politeness that carry nothing else, in the languages that the tests cover. No yes and no: they answer."""

_FILLERS = "oh|well|so|and|again|everyone|guys|all|my friend|buddy|und|na|also|dann|et|alors|y|pues|e|allora|então|ну|и"
_SHORT_NAME = 3
_LONGEST = 240
"""Characters of a text that may be small talk."""
_WORDS = re.compile(r"[^\W_]+(?:['’ʼ][^\W_]+)*")
_ENDS = ".!?…。！？\n"
_SENTENCE = re.compile(r"[^.!?…。！？\n]*[.!?…。！？\n]*\s*")


def _either(phrases: str) -> str:
    found = {" ".join(_WORDS.findall(fold(phrase))).replace("'", "") for phrase in re.split(r"[|\n]", phrases)}
    return "|".join(sorted((re.escape(each) for each in found if each), key=len, reverse=True))


_ONLY = re.compile(
    rf"(?:(?:{_either(_FILLERS)}) )*(?:(?:{_either(_PHRASES)}) ?)(?:(?:{_either(_PHRASES)}|{_either(_FILLERS)}) ?)*"
)

_FIRST_WORDS = frozenset(
    phrase.replace("\\", "").split(" ")[0] for phrase in f"{_either(_PHRASES)}|{_either(_FILLERS)}".split("|")
)


def is_small_talk(text: str, names: Collection[str] = ()) -> bool:
    """Tell whether a text is nothing but greetings, thanks, congratulations and farewells.

    Args:
        text: What was said, without the speaker's label.
        names: Names that may be addressed, as `name_forms` gives them.
    """
    if len(text) > _LONGEST or not _begins_so(text, names):
        return False
    words = [word.replace("'", "") for word in _WORDS.findall(fold(text))]
    return _ONLY.fullmatch(" ".join(word for word in words if word not in names)) is not None


def _begins_so(text: str, names: Collection[str]) -> bool:
    """Tell by the first word whether a text may be small talk: most texts are told apart at once."""
    first = _WORDS.search(text)
    if first is None:
        return False
    word = fold(first[0]).replace("'", "")
    return word in _FIRST_WORDS or word in names


def name_forms(names: Iterable[str]) -> frozenset[str]:
    """Names as they may be addressed, folded: each word of them, and its short forms, as Mel of Melanie."""
    words = {word.replace("'", "") for name in names for word in _WORDS.findall(fold(name))}
    return frozenset(word[:end] for word in words for end in range(min(_SHORT_NAME, len(word)), len(word) + 1))


def without_small_talk(text: str, names: Collection[str] = ()) -> str:
    """The text without the small talk in front of it and behind it; empty if it is nothing else."""
    if is_small_talk(text, names):
        return ""
    if not any(end in text for end in _ENDS):
        return text
    spans = [match.span() for match in _SENTENCE.finditer(text) if match.end() > match.start()]
    first, last = 0, len(spans)
    while first < last and is_small_talk(text[slice(*spans[first])], names):
        first += 1
    while last > first and is_small_talk(text[slice(*spans[last - 1])], names):
        last -= 1
    return text[spans[first][0] : spans[last - 1][1]].strip() if first < last else text
