"""Tells texts that stand where a memory should: words for nothing, and the form that the prompt describes."""

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
    無 没有 沒有 なし 特になし 없음 yok brak geen niets
    """
)
_FORM_WORDS = _set(
    """
    string str text memory statement fact item value placeholder example sample todo tbd lorem ipsum semantic
    episodic
    """
)
_EMPTY_SENTENCE = re.compile(
    r"(?:(?:there (?:is|are|was|were)|i (?:found|see|have)|found|got) )?(?:no|nothing|not any|zero|none)\b"
    r"(?: (?:new|relevant|further|more|lasting|useful|notable|important|such|other|additional|significant|clear|of|the"
    r"|to|is|was|were|are|be|here|that|which|worth|can|could|found|extracted|from|in|this|these|conversation|messages?|lines?"
    r"|user|for|and|or|now|memor(?:y|ies)|facts?|events?|information|preferences?|statements?|items?|notes?|noted?"
    r"|noting|remember(?:ed|ing)?|extract|summar(?:y|i[sz]e)|changes?|updates?|needed|necessary|required|stored?|storing|keep|kept|available|applicable|detected|identified))*"
    r"|(?:keine|es gibt (?:keine|nichts)|nichts)(?: (?:neuen?|relevanten?|wichtigen?|erinnerungen|fakten|informationen"
    r"|zu|merken|notieren|vermerken|speichern|gefunden|vorhanden))*"
    r"|(?:aucune?|rien|il n'y a (?:rien|aucune?))(?: (?:à|de|nouveau|nouvelle|pertinente?|souvenirs?|mémoire|fait"
    r"|information|noter|retenir|signaler|trouvée?))*"
    r"|(?:ningun[oa]?|nada|no hay (?:nada|recuerdos|hechos|información)?)(?: (?:que|nuevo|nueva|recuerdos?|hechos?"
    r"|información|relevante|anotar|recordar|guardar))*"
    r"|(?:nessun[oa]?|niente|nulla|non c'è (?:niente|nulla))(?: (?:da|di|nuovo|ricordo|fatto|informazione|rilevante"
    r"|annotare|ricordare|segnalare))*"
    r"|(?:nenhum[a]?|nada|não há nada)(?: (?:a|de|para|novo|memória|fato|informação|relevante|anotar|lembrar))*"
    r"|(?:нет|ничего|нечего)(?: (?:нового|новых|нет|воспоминаний|фактов|данных|информации|запоминать|отметить))*"
    r"|(?:没有|沒有|无|無)(?:新的?|任何|值得|可|相关|需要|要|的)*(?:记忆|記憶|记录|信息|内容|事实|记|保存|提取|记住)*(?:的|内容|信息)*"
    r"|(?:特に|新しい|記憶|覚える|記録|べき|する|こと|情報|事実|は|が|も)*(?:なし|ありません|ない)(?:です)?",
    re.IGNORECASE,
)
_MARKED = re.compile(
    r"<[^<>\n]*>|\{[^{}\n]*\}|\[[^\[\]\n]*\]|\(?(?:your|the|a|insert|put|enter)? ?(?:memory|statement"
    r"|text|fact)s? ?(?:text)? ?(?:goes)? here\)?",
    re.IGNORECASE,
)
_DATE_FORM = re.compile(r"YYYY|yyyy-mm|<date>|ISO ?8601", re.IGNORECASE)
_EDGES = " \t\n.!?…。！？*_-–—\"'`"
_WORDS = re.compile(r"\w+")


def says_nothing(text: str) -> bool:
    """Whether a text only says that there is no memory: blank, dots, a word such as `N/A`."""
    bare = " ".join(text.split()).strip(_EDGES).lower()
    return not _WORDS.search(bare) or bare in _NOTHING or _EMPTY_SENTENCE.fullmatch(bare) is not None


def is_form(item: Mapping[str, Any], text: str, frame: str) -> bool:
    """Whether an item repeats the form of the answer in the place of a memory.

    Args:
        item: The item: a type or a date that describes what belongs there gives it away.
        text: Its text.
        frame: What the prompt says beside the conversation, by `plain_words`; empty if it is not known.
    """
    bare = " ".join(text.split()).strip(_EDGES)
    if bare.lower() in _FORM_WORDS or _MARKED.fullmatch(bare):
        return True
    kind, date = item.get("type"), item.get("event_date")
    if isinstance(kind, str) and "semantic" in kind.lower() and "episodic" in kind.lower():
        return True
    if isinstance(date, str) and _DATE_FORM.search(date):
        return True
    words = plain_words(text)
    return bool(words.strip()) and words in frame


def plain_words(text: str) -> str:
    """The words of a text in lower case, with a blank around each, to look for some of them in others."""
    return f" {' '.join(_WORDS.findall(text.lower()))} "
