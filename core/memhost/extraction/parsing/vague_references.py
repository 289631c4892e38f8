"""References that nothing in a short statement can resolve: "the plan", "it", "the second option", and the like.

Only whole sentence patterns count, since most of these words are clear in a longer sentence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_THING = (
    r"(?:plan|project|proposal|suggestion|idea|decision|offer|task|request|issue|matter|problem|meeting"
    r"|appointment|order"
    r"|application|deal|thing|situation|change|feature|bug|ticket|event|topic)"
)
_STATE = (
    r"(?:is|are|was|were|has|have|had|will|starts?|started|begins?|began|ends?|ended|works?|worked|went"
    r"|failed|takes? place"
    r"|happened|looks?|seems?|got|needs?)"
)
_DOES = (
    r"(?:likes?|loves?|hates?|wants?|bought|sold|prefers?|does|did|tried|finished|started|uses|used|enjoy(?:s"
    r"|ed)|needs?"
    r"|owns?|watched|saw|read|forgot|remembers?|found|lost|ordered|returned|cancelled|canceled|postponed"
    r"|fixed|solved"
    r"|thinks?|believes?|knows?|agreed (?:to|with)|wants? to (?:do|try|buy|have|see|use)|will (?:do|try|buy"
    r"|have|see|use|call))"
)
_AFTER = (
    r"(?=\s*(?:[.!?,;]|$|(?:very|so|a lot|again|too|also|better|much|now|soon|already|finally|anyway|back"
    r"|every)\b))"
)
_ENDS = r"(?=\s*(?:[.!?]|$|,|;|\b(?:by|on|in|before|after|until|next|as|and|but)\b))"

_ENGLISH = (
    # The plan was approved.
    rf"^(?P<w>(?:the|this|that) {_THING}) {_STATE}\b[^\d:\"“]*$",
    # User likes it very much. User finally did it.
    rf"^user (?:\w+ly |also |still |just |then |always |never )?{_DOES} (?P<w>it|this|that|these|those){_AFTER}",
    # User thinks this is better than the other one.
    r"^user (?:thinks|believes|says|said|knows) (?P<w>this|that|it) (?:is|was|will)\b(?!.*\b(?:to|that|when"
    r"|if)\b)[^\d]*$",
    # User will call them back.
    r"^user (?:will |wants to |has to |needs to )?(?:calls?|met|meets?|visit(?:s|ed)?|called|asks?|asked|told"
    r"|tells?|knows?"
    r"|likes?|loves?|invited|texted|emailed) (?P<w>them)\b(?!\s*[:(])",
    # User met the guy from the party. User bought the one with the bigger screen.
    r"^user \w+(?: \w+)? (?P<w>the (?:guy|one|ones|stuff)) (?:from|with|that|at|in|of)\b",
    # User prefers the second option. User wants the same setup as before.
    r"^user \w+(?: \w+)? (?P<w>the (?:first|second|third|last|other|same|latter|former|next|previous)"
    rf" (?:option|one|choice|version|variant|setup|alternative|suggestion|idea|way|approach|{_THING})){_ENDS}",
    r"^user .*\b(?P<w>the (?:above|aforementioned|latter|former))\b",
    r"^user .*\b(?P<w>(?:as|like) before)\s*[.!?]?$",
    # User agreed with the proposal. User will finish the task by Friday.
    rf"^user (?:has |will |wants to |did not |doesn't |didn't )?(?:agree[sd]?|disagree[sd]?|accept(?:s|ed)?"
    rf"|reject(?:s|ed)?|finish(?:es|ed)?"
    rf"|start(?:s|ed)?|likes?|liked|approve[sd]?|discuss(?:es|ed)?|complete[sd]?|solve[sd]?|made"
    rf"|makes)(?: with| to| of)?"
    rf" (?P<w>the {_THING}){_ENDS}",
)
_OTHERS = (
    # Der Plan wurde angenommen.
    r"^(?P<w>(?:Der|Dieser) (?:Plan|Vorschlag|Termin|Auftrag|Antrag)|(?:Das|Dieses) (?:Projekt|Angebot"
    r"|Treffen|Problem|Thema)"
    r"|(?:Die|Diese) (?:Idee|Entscheidung|Aufgabe|Sache|Anfrage|Besprechung))"
    r" (?:wurde|ist|war|wird|hat|beginnt|begann|startet|endet|läuft|findet)\b[^A-ZÄÖÜ\d:„\"]*$",
    # User findet das gut.
    r"^(?:User|Nutzer) (?:findet|fand|mag|mochte|will|möchte|macht|machte|liebt|braucht|kennt|hat|versucht)"
    r" (?P<w>das|dies|es)(?= (?:sehr |nicht |auch |wieder |immer |noch |ganz |so )*[a-zäöüß]+[.!]?$|[.!]?$)",
    r"^(?:User|Nutzer) (?:bevorzugt|will|möchte|nimmt|wählt|nahm|wählte) (?P<w>(?:die|den|das)"
    r" (?:erste|zweite|dritte|letzte|andere|gleiche|obige|vorige)n? (?:Option|Variante|Vorschlag|Version"
    r"|Möglichkeit|Lösung))[.!]?$",
    # Le projet commence bientôt. User aime ça.
    r"^(?P<w>(?:Le|Ce) (?:plan|projet|rendez-vous|problème)|La (?:proposition|décision|réunion|demande"
    r"|tâche)) (?:est|a|sera|était"
    r"|commence|commencera|fonctionne)\b[^A-Z\d:«]*$",
    r"^(?:User|L['’]utilisateur) (?:aime|adore|veut|préfère|déteste|a fait|fera|connaît) (?P<w>ça|cela"
    r"|celui-là|celle-là)"
    r"(?= (?:beaucoup|bien|aussi|encore)[.!]?$|[.!]?$)",
    # El plan fue aprobado. A User le gusta eso.
    r"^(?P<w>(?:El|Este|Ese) (?:plan|proyecto|problema|pedido)|La (?:propuesta|decisión|reunión|idea"
    r"|tarea)) (?:es|fue|está|será|ha"
    r"|empieza|comienza|funciona)\b[^A-Z\d:«]*$",
    r"^(?:A )?User (?:le gusta|quiere|prefiere|odia|hizo|hará|compró) (?P<w>eso|esto|aquello)(?= (?:mucho"
    r"|también|otra vez)[.!]?$|[.!]?$)",
    # Il piano è stato approvato. O plano foi aprovado.
    r"^(?P<w>Il (?:piano|progetto|problema)|La (?:proposta|decisione|riunione)) (?:è|era|sarà|ha|inizia"
    r"|comincia|funziona)\b[^A-Z\d:«]*$",
    r"^(?P<w>O (?:plano|projeto|problema|pedido)|A (?:proposta|decisão|reunião|ideia)) (?:é|foi|está|será"
    r"|começa|funciona)\b[^A-Z\d:«]*$",
    # План утвердили. Проект скоро начнётся.
    r"^(?P<w>План|Проект|Предложение|Встреча|Задача|Проблема|Решение) (?:был[аои]?|будет|скоро|утвердили"
    r"|приняли|отклонили|начн\w+"
    r"|начал\w+|решен\w*)\b[^А-ЯЁA-Z\d:«]*$",
)
_PATTERNS = (*(re.compile(each, re.IGNORECASE) for each in _ENGLISH), *map(re.compile, _OTHERS))
_CAPITAL = re.compile(r"(?<!^)(?<![.!?] )\b(?!User\b)[A-Z]\w")

_KNOWN_JA = re.compile(
    r"[\u30a0-\u30ff]{2,}(?<!ユーザー)|さん|くん|君|ちゃん|様|先生|[父母兄弟姉妹夫妻]|息子|娘|祖[父母]|友人|友達|上司|同僚|部下|彼女と|恋人|社長|子供|犬|猫"
)
_PERSON_JA = re.compile(r"彼(?=[はがもにをのと])(?!女)|彼女(?=は)(?<=^彼女)|彼ら(?=[はがもにをのと])")
_PLACE_JA = re.compile(r"(?:そこ|あそこ)(?=[にでへはがも])|(?:^|(?<=は))(?:それ|あれ|これ)(?=[をがはも])")
_NOUN_JA = re.compile(r"[\u4e00-\u9fff\u30a0-\u30ff]{2,}|[A-Za-z]{2,}")
_PERSON_ZH = re.compile(r"^(?:他|她)们?(?![国國乡鄉人杀殺])|(?<=^用户)[^，。、的]{1,5}?(?:他|她)们?(?=[。！]?$)")


def vague(text: str) -> Iterator[tuple[int, str]]:
    """The words of a statement that point to something outside of it, each with its place; none where that is not sure.

    English, German, French, Spanish, Italian, Portuguese, Russian, Japanese and Chinese.
    """
    for number, pattern in enumerate(_PATTERNS):
        match = pattern.search(text)
        if match is not None and (number >= len(_ENGLISH) or _CAPITAL.search(text) is None):
            yield match.start("w"), match["w"]
    yield from _japanese(text)
    if (match := _PERSON_ZH.search(text)) and not re.search("[\u3040-\u30ff]", text):
        yield match.start(), match[0]


def _japanese(text: str) -> Iterator[tuple[int, str]]:
    if not re.search("[\u3040-\u309f]", text):
        return
    plain = re.sub("ユーザー", "\u3000\u3000\u3000\u3000", text)
    for match in _PERSON_JA.finditer(plain):
        if not _KNOWN_JA.search(plain[: match.start()]):
            yield match.start(), match[0]
    for match in _PLACE_JA.finditer(plain):
        if not _NOUN_JA.search(re.sub("User", "", plain[: match.start()])):
            yield match.start(), match[0]
