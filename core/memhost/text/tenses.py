"""Questions of how things are now: `Where do I live?`, and not `Where did I live?`.

Judged by words: an interrogative or an auxiliary of the present in some language, and nothing of the past in that
language. A language that is not here asks of no time, and nothing changes.
"""

from __future__ import annotations

import re

from memhost.text.temporal.written import likely_languages

_NOW = {
    "en": r"\b(?:do|does|is|are|am|what's|who's|where's|i'm|currently|nowadays|now)\b",
    "de": r"\b(?:wo|was|wer|wie|wem|wen|wessen|wohin|woher|welche\w*|jetzt|derzeit|aktuell|momentan|zurzeit)\b",
    "fr": r"\b(?:où|que|quoi|quel\w*|qui|comment|combien|maintenant|actuellement)\b|\bqu['’]",
    "es": r"\b(?:dónde|qué|quién(?:es)?|cuál(?:es)?|cómo|cuánt[oa]s?|ahora|actualmente)\b",
    "it": r"\b(?:dove|cosa|chi|quale?|quali|come|quant[oaie]|adesso|attualmente)\b|^\W*che\b|\bcos['’]è|\bdov['’]è",
    "pt": r"\b(?:onde|qual|quais|quem|quant[oa]s?|agora|atualmente)\b|\bo que\b",
    "nl": r"\b(?:waar|wat|wie|welke?|hoeveel|nu|momenteel)\b",
    "pl": r"\b(?:gdzie|co|kto|jaki\w*|ile|teraz|obecnie)\b",
    "el": r"\b(?:πού|που|ποιο\w*|ποια\w*|τι|πόσ\w+|τώρα|σήμερα)\b",
    "ru": r"\b(?:где|что|кто|как(?:ой|ая|ое|ие)|сколько|сейчас|теперь)\b",
    "tr": r"\b(?:nerede|ne|kim|hangi|nasıl|kaç|şimdi)\b",
    "hi": r"(?:कहाँ|कहां|क्या|कौन|कितन|अब)",
    "vi": r"\b(?:đâu|gì|nào|ai|bao nhiêu|mấy|hiện (?:nay|tại)|bây giờ)\b",
    "th": r"อะไร|ไหน|ใคร|เท่าไ[หร]|กี่|ตอนนี้|ปัจจุบัน",
    "zh": r"哪|什么|什麼|谁|誰|吗|嗎|多少|现在|現在",
    "ja": r"どこ|何|誰|どの|どんな|いくつ|今",
    "ko": r"어디|무엇|뭐|누구|어느|지금",
}
_PAST = {
    "en": (
        r"\b(?:did|was|were|had|has|have|been|used|ago|before|after|first(?! name)|originally|earlier"
        r"|previous\w*|former\w*|ever|once"
        r"|when|since|until|back|past|old|last(?! name)|initially|said|told|happened|ended)\b|\b\w+n['’]t have\b"
    ),
    "de": (
        r"\b(?:war|waren|warst|hatten?|hattest|wurden?|früher|damals|zuerst|ehemals|einst|als|bevor|nachdem|wann|seit|bis)\b"
        r"|\b\w{0,12}ge\w{2,20}(?:t|en)\b|\b\w{2,20}iert\b"
        r"|\b(?:habe|hast|hat|haben|bin|bist|ist|sind)\b.*\b(?:be|er|ver|zer|ent|emp|miss)\w{2,20}(?:t|en)\W*$"
    ),
    "fr": (
        r"\b(?!est-ce\b)(?:ai|as|a|avons|avez|ont|suis|est|sommes|êtes|sont)(?:-\w{1,9}){0,2}\s+\w{1,20}(?:é|ée|és|ées|i|ie|is|it|u|ue|us)\b"
        r"|\b(?!jamais|désormais|connais\b|parfait)\w{3,}(?:ais|ait|aient|(?<![ts])ions)\b|\b(?:ét|av)(?:ais|ait|aient|ions)\b"
        r"|\b(?:avant|autrefois|d['’]abord|ancien\w*|quand|depuis|eu|été)\b"
    ),
    "es": (
        r"\b(?!(?:por)?qué\b|días?\b|tías?\b|todavía\b|café\b|bebé\b|té\b)\w+(?:aba|abas|aban|ías|ían|iste|aste|aron|ieron|ó|é)\b"
        r"|(?<!\bmi )(?<!\btu )(?<!\bsu )(?<!\buna )(?<!nuestra )\b(?!día\b|tía\b|todavía\b)\w+ía\b"
        r"|\b(?:he|has|ha|hemos|han|había|fui|fue|era|eran"
        r"|antes|primero|cuándo|cuando|desde|hasta|hizo|dijo|tuve|tuvo|estuve|estuvo)\b"
    ),
    "it": (
        r"\b(?!(?:be|de|vi|rice|arri|\w{0,4}scri)v[aoi]\b)\w+(?:avo|avi|ava|avano|evo|eva|evano|ivo|iva|ivano)\b|\b(?:ho|hai|ha|abbiamo|hanno|sono|è)\s+\w+(?:at|ut|it)[oaie]\b"
        r"|\b(?:ero|era|erano|prima|quando|fa|stat[oaie]|fatto|detto|vissuto)\b"
    ),
    "pt": (
        r"\b(?!(?:[mts]eu|sou|estou|vou|dou|sei|lei)\b)\w+(?:ava|avas|avam|iam|ei|ou|eu|iu|aram|eram|iram|este|aste)\b"
        r"|(?<!\b[mts]inha )(?<!\bsua )(?<!\btua )(?<!\buma )(?<!\bda )(?<!\bna )\b(?!(?:dia|tia|família)\b)\w+ia\b"
        r"|\b(?:fui|foi|era|eram|antes|primeiro|quando|desde"
        r"|fiz|fez|disse|tive|teve|estive|esteve)\b"
    ),
    "nl": (
        r"\b(?:was|waren|had|hadden|werd|werden|vroeger|eerst|toen|wanneer|sinds|ooit|deed|deden|woonde\w*|ging|zei)\b"
        r"|\b(?!(?:gewicht|gezicht|geld|geluid|gebied|gerecht|geslacht|gezond)\b)ge\w+(?:d|t|en)\b"
        r"|(?<!\bmijn )(?<!\bjouw )(?<!\bonze )(?<!\bwelke )(?<!\bde )(?<!\been )\b\w{3,}(?:de|te)n?\b"
    ),
    "pl": r"\b\w+(?:łem|łam|łeś|łaś|ł|ła|ło|li|ły|liśmy)\b|\b(?:kiedyś|kiedy|wcześniej|najpierw|przedtem)\b",
    "el": (
        r"\b(?!έχετε\b)[έή]\w+(?:α|ες|ε|αμε|ατε|αν)\b|\b\w+(?:ούσ|θηκ|[ασξψ]σ|[ξψ])(?:α|ες|ε|αμε|ατε|αν)\b|\b\w{2,}[ιηεοα]σ(?:α|ες|ε)\b"
        r"|\b(?:ήταν|ήμουν|είχ\w+|πήγ\w+|ήρθ\w+|πριν|πότε|κάποτε|παλι\w+|πρώτ\w+|πέρυσι|έχω \w+ει)\b"
    ),
    "ru": (
        r"(?<!\b[мт]оя )(?<!\b[мт]ой )(?<!\bтвоя )(?<!\bтвой )"
        r"\b(?!(?:или|если)\b)\w+(?:л|ла|ло|ли|лся|лась|лись)\b|\b(?:раньше|прежде|сначала|когда)\b"
    ),
    "tr": r"\b\w+(?:d[ıiuü]|t[ıiuü])(?:m|n|k|nız|niz|ler|lar)?\b|\b(?:önce|eskiden|ilk|zaman)\b",
    "hi": r"(?:था|थी|थे|पहले|कब|गया|गई|किया)",
    "vi": r"\b(?:đã|từng|trước|khi nào|bao giờ|hồi|cũ|lúc|đầu tiên|xong|rồi|qua)\b",
    "th": r"แล้ว|เคย|ก่อน|เมื่อ|ตอนนั้น|ตอนเด็ก|แรก|เก่า",
    "zh": r"了|过|過|以前|曾|之前|当时|第一|什么时候",
    "ja": r"た[かのんよね]?[?？。]?\s*$|でした|ました|だった|以前|昔|いつ|最初",
    "ko": r"[았었했였갔왔봤샀렸]|전에|옛날|언제|처음",
}
_COMPILED = {language: (re.compile(pattern), re.compile(_PAST[language])) for language, pattern in _NOW.items()}
_INSIDE = re.compile(r"(?<=[^\W_] )[^\W\d_]\w*")
"""Words behind another one in the same sentence."""
_LONGEST = 300
"""Characters of a question; longer texts hold words of all times."""


def asks_of_now(text: str) -> bool:
    """Tell whether a question asks how things are now, and says nothing of the past."""
    if len(text) > _LONGEST:
        return False
    lowered = text.lower()
    likely = likely_languages(text)
    now = [language for language, (present, _) in _COMPILED.items() if language in likely and present.search(lowered)]
    said = _without_names(text).lower() if now else ""
    return bool(now) and not any(_COMPILED[language][1].search(said) for language in now)


def _without_names(text: str) -> str:
    """The text without capitalised words inside a sentence: names, and German nouns, that end like verbs of the past.

    Where all words are capitalised it is a title, and nothing is left out.
    """
    inside = _INSIDE.findall(text)
    if not any(word[0].islower() for word in inside):
        return text
    return _INSIDE.sub(lambda match: match[0] if match[0][0].islower() else "", text)
