"""Recognises texts that are no memories: words for nothing, and the form that the prompt describes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NOTHING = _set(
    """
    none null nil nan na n/a nothing unknown undefined empty blank unspecified keine keiner nichts keins leer
    aucun aucune rien néant vide ninguno ninguna nada nessuno nessuna niente nenhum nenhuma нет ничего пусто 无
    無 没有 沒有 なし 特になし 없음 yok hiç hiçbiri brak nic geen niets ingen inga inget ingenting intet žádné žádný
    semmi nincs niciunul nimic ništa нема нічого немає ไม่มี
    unbekannt desconocido desconhecido inconnu sconosciuto неизвестно 未知 不明 該当なし
    """
) | {
    "ei mitään",
    "ei ole",
    "δεν υπάρχει",
    "τίποτα",
    "لا شيء",
    "لا يوجد",
    "कुछ नहीं",
    "không có",
    "tidak ada",
    "אין",
    "해당 없음",
}
_FORM_WORDS = _set(
    """
    string str text memory statement fact item value placeholder example sample todo tbd semantic episodic
    texte texto testo tekst metin текст строка пример утверждение beispiel beispieltext platzhalter erinnerung aussage
    exemple souvenir ejemplo recuerdo esempio ricordo exemplo memória przykład örnek
    文本 该文本 文本内容 字符串 陈述 示例 例子 记忆内容 占位符
    テキスト 文字列 記憶の内容 例文 プレースホルダー 텍스트 예시 문자열
    """
)
_SURELY_FORM = _set("string str placeholder example sample exemple ejemplo esempio exemplo beispiel пример 示例")
_FORM_LIGHT = _set(
    """
    or null none a an the of your this that is in to be about user one single short brief concise complete new here
    goes insert put
    enter content sentence sentences under max maximum up most least chars char characters letters words number optional
    required der die das des dein deine ein eine hier kurzer du de la le les un une el una il lo del della do da um uma
    o aquí ici qui aqui tu su votre
    """
)
"""Words that surround those of the form: `the text of the memory`, `string, under 300 characters`."""
_EMPTY_SENTENCE = re.compile(
    r"not (?:applicable|specified|mentioned|available|provided|given|known|stated)|nicht (?:angegeben"
    r"|verfügbar|bekannt)"
    r"|(?:(?:the )?(?:user|person|conversation|chat|messages?) (?:did not|didn't|has not|hasn't|does not|doesn't)"
    r" (?:provided?|shared?|mention(?:ed)?|contain) any(?:thing)?(?: (?:new|relevant|personal|memorable|lasting"
    r"|information|memories|facts?|details))*"
    r"|(?:(?:there (?:is|are|was|were)|i (?:found|see|have)|found|got"
    r"|(?:the )?(?:user|person|conversation|chat|messages?) (?:provided|shared|mentioned|contains?"
    r"|contained)) )?(?:no|nothing|not any|zero|none)\b"
    r"(?: (?:new|relevant|further|more|lasting|useful|notable|important|such|other|additional|significant|clear|of|the"
    r"|to|is|was|were|are|be|here|that|which|worth|can|could|found|extracted|from|in|this|these|conversation"
    r"|messages?|lines?"
    r"|user|for|and|or|now|memor(?:y|ies)|facts?|events?|information|preferences?|statements?|items?|notes?|noted?"
    r"|noting|remember(?:ed|ing)?|extract|summar(?:y|i[sz]e)|changes?|updates?|needed|necessary|required"
    r"|stored?|storing|keep|kept|available|applicable|detected|identified|personal|memorable|details?|data"
    r"|info|mentioned"
    r"|provided|given))*)"
    r"|(?:keine|es wurden keine|es gibt (?:keine|nichts)|nichts)(?: (?:neuen?|relevanten?|wichtigen?"
    r"|erinnerungen|fakten|informationen"
    r"|zu|merken|notieren|vermerken|speichern|gefunden|vorhanden))*"
    r"|(?:aucune?|rien|pas d['e]|il n'y a (?:rien|aucune?))(?: (?:à|de|nouveau|nouvelle|pertinente?|souvenirs?|mémoire"
    r"|fait|information|noter|retenir|signaler|trouvée?))*"
    r"|(?:ningun[oa]?|nada|sin (?:recuerdos?|hechos?|información)|no se encontr\w+ (?:nada|recuerdos|hechos"
    r"|información)|no hay (?:nada|recuerdos|hechos|información)?)"
    r"(?: (?:que|nuev[oa]s?|recuerdos?|hechos?"
    r"|información|relevante|anotar|recordar|guardar))*"
    r"|(?:nessun[oa]?|senza ricordi|niente|nulla|non c'è (?:niente|nulla))(?: (?:da|di|nuovo|ricordo|fatto"
    r"|informazione|rilevante"
    r"|annotare|ricordare|segnalare))*"
    r"|(?:nenhum[a]?|nada|sem (?:memórias?|fatos?|informaç\w+)|não há (?:nada|memórias|fatos))(?: (?:a|de"
    r"|para|nov[oa]s?|memória|fato|informação|relevante|anotar|lembrar))*"
    r"|(?:нет|ничего|нечего|никакой|никаких)(?: (?:нового|новой|новых|нет|воспоминаний|фактов|данных"
    r"|информации|запоминать|отметить))*"
    r"|(?:没有|沒有|无|無)(?:新的?|任何|值得|可|相关|需要|要|的)*(?:记忆|記憶|记录|信息|内容|事实|记|保存|提取|记住)*(?:的|内容|信息)*"
    r"|(?:特に|新しい|記憶|覚える|記録|べき|する|こと|情報|事実|は|が|も)*(?:なし|ありません|ない)(?:です)?",
    re.IGNORECASE,
)
_MARKED = re.compile(
    r"<[^<>\n]*>|\{{1,2}[^{}\n]*\}{1,2}|\$\w+|(\w)\1{2,}|lorem ipsum\b.*|\[[^\[\]\n]*\]|\(?(?:your|the|a"
    r"|insert|put|enter)? ?(?:memory|statement"
    r"|text|fact)s? ?(?:text)? ?(?:goes)? here\)?",
    re.IGNORECASE,
)
_DATE_FORM = re.compile(r"YYYY|yyyy-mm|<date>|ISO ?8601", re.IGNORECASE)
_EDGES = " \t\n.!?…。！？*_-–—\"'`"
_WORDS = re.compile(r"\w+")


def says_nothing(text: str) -> bool:
    """Tell whether a text only says that there is no memory: blank, dots, a word such as `N/A`."""
    bare = " ".join(text.split()).strip(_EDGES).lower()
    return not _WORDS.search(bare) or bare in _NOTHING or _EMPTY_SENTENCE.fullmatch(bare) is not None


def is_form(item: Mapping[str, Any], text: str, frame: str) -> bool:
    """Tell whether an item repeats the form of the answer in the place of a memory.

    Args:
        item: The item: a type or a date that describes what belongs there gives it away.
        text: Its text.
        frame: What the prompt says beside the conversation, by `plain_words`; empty if it is not known.
    """
    bare = " ".join(text.split()).strip(_EDGES)
    if bare.lower() in _FORM_WORDS or _MARKED.fullmatch(bare) or _only_names_the_form(bare):
        return True
    kind, date = item.get("type"), item.get("event_date")
    if isinstance(kind, str) and "semantic" in kind.lower() and "episodic" in kind.lower():
        return True
    if isinstance(date, str) and _DATE_FORM.search(date):
        return True
    words = plain_words(text)
    return bool(words.strip()) and words in frame


def _only_names_the_form(text: str) -> bool:
    """Tell whether each word belongs to a description of the form, as in `Example memory 1`."""
    words = _WORDS.findall(text.lower().replace("_", " "))
    if not any(word in _FORM_WORDS or word == "sentence" for word in words):
        return False
    numbered = not _SURELY_FORM.isdisjoint(words)  # `Example memory 1`; but `Fact 1` may be what somebody calls it
    return all(word in _FORM_WORDS or word in _FORM_LIGHT or (numbered and word.isdigit()) for word in words)


def plain_words(text: str) -> str:
    """The words of a text in lower case, with a blank around each, to look for some of them in others."""
    return f" {' '.join(_WORDS.findall(text.lower()))} "
