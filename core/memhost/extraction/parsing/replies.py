"""Takes the reply out of what a model wrote: without its thoughts, channels, fences, prefaces and wrappers."""

from __future__ import annotations

import re
from typing import Any

from memhost.extraction.parsing import loose_json
from memhost.extraction.parsing.placeholders import is_form, plain_words, says_nothing


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_THOUGHTS = (
    r"(?:(?:[a-z]{1,8}[:_]){0,2}(?:ant)?(?:think(?:ing)?|thoughts?|reason(?:ing)?|analysis|reflection|scratchpad"
    r"|monologue|deliberation|internal)(?:_[a-z]{1,10})?)"
)
_OPEN = re.compile(rf"\s*[<\[◁]\|?(?!end_){_THOUGHTS}\|?[>\]▷]", re.IGNORECASE)
_CLOSE = re.compile(
    rf"[<\[◁](?:\|?/{_THOUGHTS}\|?|\|end_{_THOUGHTS}\|)[>\]▷](?=(?P<line>[ \t]*(?:\n|$))|\S)", re.IGNORECASE
)
_CHANNEL = re.compile(r"<\|channel\|>\s*(?P<name>\w+)[^<]{0,100}(?:<\|constrain\|>[^<]{0,100})?<\|message\|>")
_CHANNEL_END = re.compile(r"<\|(?:end|return|start|call|channel)\|>")
_LOST_MARKS = re.compile(r"\s*analysis.*?assistant\s?final", re.DOTALL)
_MARK = r"(?:<[|｜][a-z][a-z_▁ ]{1,30}[|｜]>|</?s>|<(?:start|end)_of_turn>)"
_CONTROL = re.compile(
    rf"\A(?:\s*{_MARK}(?:(?:assistant|model)\b)?)+|(?<![\w`'\"][ \t])(?:{_MARK}\s*)+\Z", re.IGNORECASE
)
"""Marks of chat templates around a reply; at its end only if no sentence continues after them."""

_FENCE = re.compile(r"`{3,}|~{3,}")
_TASK_WORDS = _set(
    """
    here here's is are this that's below following the a an your you my of to so far sure certainly course
    okay ok absolutely yes new updated revised concise brief short quick running final full complete plain
    text summary summaries summarized summarised conversation chat dialogue discussion session messages i i've
    have written created prepared updated as requested asked for in and with all it
    yet thing follows my your above segue
    got understood alright ready please no not available only tl dr 1 one two three bullet bulleted point points form
    sentence sentences word words under within about up on based previous
    keine kein verfügbar bisherigen bisherige kurzzusammenfassung stichpunkten
    geen samenvatting van het gesprek tot nu toe een korte bijgewerkte beschikbaar oto podsumowanie rozmowy krótkie
    zaktualizowane brak dotychczasowej işte konuşmanın konuşma özeti özet kısa güncellenmiş yok här är
    sammanfattningen sammanfattning av samtalet sommaire pas concis concise jusqu'à présent ici sin hay hasta ahora
    nessun fin ora finora sem nenhum até agora 无摘要 无总结 нет до этого момента
    our us nuestra nuestro notre nostra unserer unseres nossa hier ist nun die der das
    eine ein kurze aktualisierte neue knappe zusammenfassung zusammengefasst des den vom gesprächs gespräch
    unterhaltung konversation dialogs chats chatverlaufs natürlich gerne klar gern ihre deine folgt voici le
    la les un une résumé résumée bref brève court mis à jour actualisé nouveau de du l' d' bien sûr votre ci
    dessous demandé l'échange échange discussion aquí está tienes el resumen actualizado breve nuevo
    conversación charla del claro por supuesto este es su tu ecco il riassunto aggiornato nuovo della
    conversazione chat certo certamente questo è sommario riepilogo aqui está o um resumo atualizado breve da
    do conversa diálogo claro seu este é вот краткое обновленное обновлённое новое резюме содержание сводка
    итог разговора беседы диалога чата конечно это
    """
)
_SUMMARY_WORDS = re.compile(
    r"summar|tl;?\s?dr|samenvatting|podsumowan|özet|sammanfattning|sommaire|zusammen(?:fassung|gefasst)"
    r"|résumé|resum|riassunt|riepilog|sommario|резюме|сводк|содержание|итог"
    r"|摘要|总结|總結|概要|要約|まとめ|요약",
    re.IGNORECASE,
)
_CJK_PREFACE = re.compile(
    r"[#*\s]*+(?!用户|用戶|ユーザー|사용자)(?:好的|当然|當然|はい|もちろん(?:です)?|承知しました|かしこまりました|네)?[，,、。！!\s]*+"
    r"(?:以下|下面|这|這|こちら|これまで|다음)?[^\n。，、]{0,14}(?:摘要|总结|總結|概要|要約|まとめ|サマリー|요약)(?:[^\n。，、]{0,8}[:：]\s*"
    r"|[^\n。，、]{0,12}(?:通り|とおり|如下)[^\n。]{0,3}[。:：]?\n\s*|\**\n\s*)"
)
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_LINE = re.compile(r"[ \t#*_>]*(?P<said>[^\n:：{}\[\]\x22]{1,160}[:：])[ \t*_]*(?P<rest>\n|(?=\S)|$)")

_HEADING = re.compile(r"(?:#{1,6}|\*\*)(?P<said>[^\n]{1,80})\n")
_TAG = r"(?:\w{1,15}_)?(?:summary|answer|output|response|result|final|text|tool_call)"
_WRAPPED = re.compile(rf"<(?P<tag>{_TAG})>(?P<inner>.*)</(?P=tag)>", re.DOTALL | re.IGNORECASE)
_HALF_WRAPPED = re.compile(
    rf"<{_TAG}>(?=\S|\n)(?P<inner>.*)|(?P<before>.*[.!?\n。！？])</{_TAG}>", re.DOTALL | re.IGNORECASE
)
_WORKED_OUT = re.compile(
    r"\W*(?:thinking|reasoning|thoughts?)(?: process)?\W*:.*\n\W*(?:(?:final|updated) )?(?:answer|summary)\W*:",
    re.IGNORECASE | re.DOTALL,
)
_OFFER = re.compile(
    r"\(?word count: \d+\)?|(?:let me know if|(?:i )?hope (?:this|that) helps|feel free to"
    r"|is there anything else|would you like me to)"
    r"[^\n]{0,200}[.!?]",
    re.IGNORECASE,
)

_SORRY = (
    r"i(?:'|’)?m (?:very |so )?sorry|i am (?:very |so )?sorry|sorry|i apologi[sz]e|my apologies|unfortunately"
    r"|as an? (?:\w+ ){0,2}(?:ai|large|language|model|assistant)\b|i(?:'|’)?m afraid|es tut mir leid"
    r"|tut mir leid|entschuldigung|leider"
    r"|je suis désolée?|désolée?|lo siento"
    r"|lamento|perdón"
    r"|mi dispiace|spiacente|desculpe|sinto muito|извините|простите|к сожалению"
    r"|het spijt me|przepraszam|przykro mi|üzgünüm|maalesef"
)
_CANNOT = (
    r"i(?:'|’)?m (?:not able|unable|not allowed|not permitted)|i am (?:not able|unable|not allowed|not permitted)"
    r"|i (?:do not|don(?:'|’)?t) feel comfortable|i (?:can(?:'|’)?t|cannot|can not|won(?:'|’)?t|will not"
    r"|must decline)|ich kann (?:das |dies |dieses |diese |ihnen |dir |dabei |hier )*(?:\w+ ){0,3}nicht|ich darf"
    r"|ich bin nicht in der lage|je ne (?:peux|suis) pas|je refuse|no puedo|no soy capaz|non posso|non sono in grado"
    r"|(?:eu )?não posso|não consigo|я не (?:могу|в состоянии)|не могу|ik kan (?:\w+ ){0,3}niet|nie mogę"
    r"|nie jestem w stanie"
    r"|(?:dabei|dazu) kann ich|leider kann ich (?:\w+ ){0,4}(?:zusammenfassung|helfen)|(?:das|dies) kann ich"
    r"|(?:\w+ ){1,4}(?:yapam|olam|edem|getirem|özetleyem)\w*"
)
_REFUSAL = re.compile(
    rf"(?:(?:{_SORRY})[^.!?\n]{{0,120}}?(?:{_CANNOT})|(?:{_CANNOT})\b"
    r"|(?:很|非常|十分)?(?:抱歉|对不起|對不起|很?遗憾)[，,。！! ][^\n]{0,40}(?:无法|無法|不能|帮不了)"
    r"|我(?:无法|無法|不能)"
    r"|(?:申し訳|すみません|恐れ入り)[^\n]{0,60}(?:できません|いたしかねます|お答え)|その\w{1,4}には(?:対応|お答え)(?:でき|いたしかね)"
    r"|죄송[^\n]{0,60}(?:없습니다|수 없)"
    r"|(?:please|could you|can you|kindly) (?:please )?(?:provide|share|paste|send)\b[^\n]{0,80}"
    r"(?:messages|conversation|text|transcript|summari)"
    r"|(?:it (?:seems|looks|appears)|there (?:is|are|were)|no)\b[^\n.]{0,60}?"
    r"(?:\b(?:no|not|empty|nothing)\b[^\n.]{0,40}?)?"
    r"\b(?:to summari[sz]e|(?:was|were|been) (?:provided|given|supplied)|provided))",
    re.IGNORECASE,
)
_APOLOGY = re.compile(
    rf"(?:{_SORRY})[^.!?\n]{{0,120}}?(?:{_CANNOT}) (?:extract|help|assist|process|comply|fulfil|identify|find"
    rf"|provide|do) ?"
    r"[^\n]{0,200}",
    re.IGNORECASE,
)
_DECLINES = re.compile(
    r"(?:^|[.!?]\s|, (?:so|but|and|therefore) )(?:i(?:'|’)?m|i am|i) (?:can(?:'|’)?t|cannot|unable to|not able to"
    r"|won(?:'|’)?t)"
    r" (?:summari[sz]e|help|assist|process|provide|comply|fulfil|continue with|do (?:this|that)|discuss)"
    r"|^error(?: \d{3})?: |^(?:internal server error|bad gateway|rate limit exceeded|\[object object\]"
    r"|\(no output\))\W*"
    r"(?:please try again[^\n]*)?$|^<!doctype html|^<html\b"
    r"|^(?:sorry|i)\b[^.\n]{0,40}(?:rather not summari[sz]e|not something i can (?:help|assist|do))"
    r"|^i(?:'|’)?m (?:just|only) (?:a|an) (?:\w+ )*(?:model|assistant|ai) and can(?:no|')t"
    r"|^(?:this|that|the) (?:request |content |conversation )?(?:violates|goes against) my (?:guidelines"
    r"|policies|rules)"
    r"|^my (?:guidelines|policies|rules) (?:prevent|do not allow|don't allow) me"
    r"|^(?:it (?:is|would be) (?:not appropriate|inappropriate)|i do(?: not|n['’]t) (?:have|see)"
    r"|you have(?: not|n['’]t)"
    r"|what would you like|how (?:can|may) i|(?:understood|okay|ok|sure)[.,!] i(?:['’]ll| will| can)|let me"
    r"|i(?:['’]ll| will))\b"
    r"[^.\n]{0,60}\b(?:conversation|messages?|transcript|summary|summari[sz]e|help you(?: today)?)\b[^.\n]{0,60}[.?!]?"
    r"(?: please[^.\n]{0,60}[.!])?$"
    r"|^i understand\b[^.]{0,10}\. ready"
    r"|^diese anfrage verst(?:ö|oe)ßt gegen meine",
    re.IGNORECASE,
)
_TALK = (
    r"(?:conversation|transcript|messages?|gespräch|unterhaltung|nachricht|conversación|mensaje|conversazione|messagg"
    r"|conversa|mensagens|разговор|бесед|сообщени|对话|對話|消息|会話|メッセージ|대화|gesprek|rozmow|konuşma)"
)
_ASKS_BACK = re.compile(
    rf"(?:please|bitte|veuillez|s['’]il vous plaît|por favor|per favore|пожалуйста|请|請|geef|proszę|lütfen)"
    rf"(?! note| remember)"
    rf"[^.:;\n。]{{0,80}}{_TALK}[^.:;\n。]{{0,60}}[.!。]?"
    rf"|[^.\n。]{{0,10}}{_TALK}[^.\n。]{{0,20}}(?:してください|해 ?주세요|gönderin)[.。]?"
    rf"|(?:i|ich|je|yo|no|non|eu|não|у меня)\b[^.\n]{{0,40}}(?:access|zugriff|accès|acceso|accesso|acesso|доступа)\b"
    rf"[^.\n]{{0,30}}{_TALK}[^.\n]{{0,20}}\.?"
    rf"|(?:the|this) (?:conversation|chat|session) is (?:still |currently )?empty\W*"
    r"|(?:sorry, |oops, )?(?:an error (?:has )?occurred|something went wrong|(?:the )?request timed out"
    r"|service (?:is )?(?:temporarily )?unavailable|(?:this |the )?content (?:was |has been )?(?:blocked|flagged))"
    r"(?: (?:by (?:the |our |a )?(?:safety|content)|while)\b[^.\n]{0,40})?\W*(?:please try again[^\n]{0,40})?",
    re.IGNORECASE,
)
"""A question for what is to be summarised, and the sentences of a service that fails: the whole of a reply."""
_MAX_DECLINE_LENGTH = 250
_OBJECT = re.compile(r"""\[?\s*\{\s*["']\w+["']\s*:""")
_NONE_HERE = _set(
    "no not keine kein pas sin nessun sem нет geen brak yok 无摘要 无总结"
    " here here's hier voici aquí ecco aqui вот oto işte"
)
_ROLE = re.compile(r"\W*(?:user|assistant|model|ai|system)\W*", re.IGNORECASE)
_MAX_REFUSAL_LENGTH = 600
_FEWEST_COPIED = 10
_SAYS_SUMMARY = ("summary", "text", "content", "answer", "result", "output", "response", "final", "message")
_ABOUT = _set(
    """
    type name role id language lang title status model reason reasoning thought thoughts thinking analysis confidence
    """
)
"""Names in a JSON reply of what is said about it."""
_FAILED = frozenset(("error", "errors", "refusal", "exception"))


def final_part(text: str) -> str:
    """Return the model's reply without blocks of reasoning, other channels and control marks.

    Marks count where a model puts them: at the beginning, on a line of their own, or right before the reply. In the
    middle of a sentence they are what is being talked about, and stay.
    """
    text = text.lstrip("\ufeff")
    channels = list(_CHANNEL.finditer(text))
    if channels:
        last = next((each for each in reversed(channels) if each["name"].lower() == "final"), None)
        if last is None:
            return ""
        end = _CHANNEL_END.search(text, last.end())
        text = text[last.end() : end.start() if end else len(text)]
    elif lost := _LOST_MARKS.match(text):
        text = text[lost.end() :]
    closed = [each for each in _CLOSE.finditer(text) if _OPEN.match(text) or _stands_alone(text, each)]
    if closed:
        text = text[closed[-1].end() :]
    return _CONTROL.sub("", text).strip()


def apologises(text: str) -> bool:
    """Tell whether a text is only an excuse of the model, as some models write in the place of a memory."""
    return _APOLOGY.fullmatch(text) is not None


def never_ends(text: str) -> bool:
    """Tell whether a final part is reasoning that was cut off: an apparent answer inside it is a draft."""
    match = _OPEN.match(text)
    return match is not None and text[match.end() :].lstrip()[:1] not in ("{", "[", "`")


def summary_of(answer: str, *asked: str) -> str | None:
    """The summary in an answer, as the model wrote it; None where there is none.

    None: nothing but thoughts, a preface or blanks, a refusal, a question back, JSON without a text, or an answer that
    only repeats a part of what was asked.

    Args:
        answer: What the model wrote.
        *asked: The parts of the prompt that are no summary: rules, and lines of the conversation.
    """
    text = final_part(answer)
    if _OPEN.match(text):  # thoughts that never end
        return None
    for _ in range(4):
        bare = _unwrapped(_unfenced(_without_preface(_without_frame(text))))
        if bare is None:
            return None
        if bare == text:
            break
        text = bare
    return None if says_nothing(text) or _is_refusal(text) or _repeats(text, asked) else text


def _repeats(text: str, asked: tuple[str, ...]) -> bool:
    """Tell whether the text is copied literally from the question; a short text may agree by chance."""
    words = plain_words(text)
    return words.count(" ") > _FEWEST_COPIED and any(words in plain_words(each) for each in asked)


def _is_refusal(text: str) -> bool:
    if _ROLE.fullmatch(text) or is_form({}, text, "") or _only_speaks_of_it(text):
        return True
    if len(text) <= _MAX_REFUSAL_LENGTH and _REFUSAL.match(text):
        return True
    if len(text) <= _MAX_DECLINE_LENGTH and _ASKS_BACK.fullmatch(text):
        return True
    return len(text) <= _MAX_DECLINE_LENGTH and '"' not in text and _DECLINES.search(text) is not None


def _only_speaks_of_it(text: str) -> bool:
    """Tell whether a reply only speaks about the task, such as `Sure!`, `Here is the summary` and `No summary`."""
    if not _announces(text):
        return False
    return _SUMMARY_WORDS.search(text) is None or bool(_NONE_HERE & set(_WORD.findall(text.lower())))


def _stands_alone(text: str, close: re.Match[str]) -> bool:
    """Tell whether a closing mark without an opening one ends reasoning.

    It does on its own line, after a sentence, or at a line's end.
    """
    before = text[: close.start()]
    ended = not before.strip() or before.rstrip(" \t")[-1:] in "\n.!?。！？:…"
    return ended and (close["line"] is not None or before[-1:] not in "`'\"")


def _without_frame(text: str) -> str:
    """The text without rules, tags or a role around it, the way to it in front, and an offer of more behind it."""
    if match := _WRAPPED.fullmatch(text):
        return match["inner"].strip()
    if (match := _HALF_WRAPPED.fullmatch(text)) and not re.search(rf"<{_TAG}>", match["inner"] or "", re.IGNORECASE):
        return (match["inner"] or match["before"] or "").strip()
    if match := _WORKED_OUT.match(text):
        return text[match.end() :].strip(" *\n")
    first, _, rest = text.partition("\n")
    if first.strip().lower() in ("assistant", "model") or (_is_rule(first) and rest):
        return rest.strip()
    above, _, last = text.rpartition("\n")
    if above and (_is_rule(last) or (above.endswith("\n") and _OFFER.fullmatch(last))):
        return above.strip()
    return text


def _is_rule(line: str) -> bool:
    bare = line.strip()
    return len(bare) >= 3 and not bare.strip(bare[0]) and bare[0] in "-*_="


def _unfenced(text: str) -> str:
    """Return the content of a fence around the whole text."""
    match = _FENCE.match(text)
    first, _, rest = text.partition("\n")
    if text.count("```") == 1 and (match is not None or text.endswith("\n```")):  # half of a fence
        return rest.strip() if match is not None and " " not in first and rest else text.removesuffix("\n```").strip()
    if match is None or not rest.endswith(match[0]) or "`" in first[match.end() :]:
        return text
    inner = rest.removesuffix(match[0]).strip()
    return text if match[0] in inner else inner


def _without_preface(text: str) -> str:
    """The text without a first line that only announces it, or a label in front."""
    cjk = _CJK_PREFACE.match(text)
    if cjk:
        return text[cjk.end() :].strip()
    line = _LINE.match(text)
    if line is None or not _SUMMARY_WORDS.search(line["said"]):
        heading = _HEADING.match(text)
        if heading and _SUMMARY_WORDS.search(heading["said"]) and _announces(heading["said"]):
            return text[heading.end() :].strip()
        return text
    return text[line.end() :].strip(" \t*_\n") if _announces(line["said"]) else text


def _announces(said: str) -> bool:
    words = [word.lower().replace("’", "'") for word in _WORD.findall(said)]
    return all(word in _TASK_WORDS for word in words)


def _unwrapped(text: str) -> str | None:
    """The text that a JSON object or string holds; None where the JSON holds none."""
    if text[:1] == '"' and text[-1:] == '"' and len(text) > 1:
        found = loose_json.decode_at(text, 0)
        return found[0].strip() if found and found[1] == len(text) and _is_escaped(text) else text
    if not _OBJECT.match(text) and not (text[:1] in ("{", "[") and text[-1:] in ("}", "]")):
        return text
    found = loose_json.decode_at(text, 0)
    if found is not None and (found[1] == len(text) or _names_summary(found[0])):
        return _text_in(found[0])
    if found is not None or not _OBJECT.match(text):
        return text
    return _text_in(loose_json.mend(text)) if text[-1:] in ("}", "]") else None


def _names_summary(value: Any) -> bool:
    return isinstance(value, dict) and any(_SUMMARY_WORDS.search(str(key)) for key in value)


def _is_escaped(text: str) -> bool:
    return '"' not in text[1:-1].replace('\\"', "")


def _text_in(value: Any, depth: int = 0) -> str | None:
    if isinstance(value, str):
        return value.strip() or None
    if depth > 4:
        return None
    if isinstance(value, list):
        texts = [_text_in(each, depth + 1) for each in value]
        return "\n".join(each for each in texts if each) or None
    if not isinstance(value, dict) or any(str(key).lower() in _FAILED for key in value):
        return None
    named = {str(key).lower(): each for key, each in value.items()}
    keys = [key for key in named if _SUMMARY_WORDS.search(key)]
    for key in (*(keys if len(keys) == 1 else ()), *_SAYS_SUMMARY):
        if key in named:
            return _text_in(named[key], depth + 1)
    texts = [found for key, each in named.items() if key not in _ABOUT and (found := _text_in(each, depth + 1))]
    return texts[0] if len(texts) == 1 else None
