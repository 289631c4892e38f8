"""The wire between memhost and the scripted model: the module to change when the form of prompts or answers changes.

It reads the prompt as a model would, finds the lines of the script's turns by their texts, and writes the script's
items in the form that memhost asks for, in the manner that the script wants. It answers the judge's pairs by their
texts.
"""

from __future__ import annotations

import calendar
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from memhost.testing.models import Asked
from tests.acceptance.extraction.script import Item, Manner, Step, Turn

_WORDS = ((0.9, "very high"), (0.7, "high"), (0.5, "medium"), (0.0, "low"))


@dataclass(slots=True)
class Told:
    """What was told so far: the steps up to now, and the texts of all turns as they stand.

    Attributes:
        steps: The steps so far, each with the texts that its turns had then.
        texts: The present text of each turn, by key.
        turns: The turns by key.
    """

    steps: list[tuple[Step, dict[str, str]]]
    texts: dict[str, str]
    turns: dict[str, Turn]


def answer(asked: Asked, told: Told) -> str:
    """The model's answer to a call of memhost."""
    if asked.purpose in ("extraction", "repair"):
        return _extraction(asked, told)
    if asked.purpose == "dedup":
        return _judgement(asked, told)
    return "The conversation goes on."


# -- extraction ------------------------------------------------------------------------------------------------


def _extraction(asked: Asked, told: Told) -> str:
    lines = _new_lines(asked)
    ids = _ids(lines, told)
    items = [item for item, step in _given(told, lines, ids) if _answers(step, item, ids, told)]
    manner = told.steps[-1][0].manner
    again = asked.purpose == "repair"
    schema, types = _keys(asked), _types(asked)
    known = _known(asked)
    raw = [_raw(item, ids, manner, schema, types) | _related(item, known, schema) for item in items]
    return _written(raw, [] if again else manner)


def _given(told: Told, lines: Sequence[Mapping[str, Any]], ids: Mapping[str, str]) -> Iterable[tuple[Item, int]]:
    """The items of the steps whose new turns are among the lines, with the number of their step."""
    seen = "\n".join(str(line.get("text", "")) for line in lines)
    speakers = {line.get("speaker") for line in lines}
    last = len(told.steps) - 1
    for number, (step, _) in enumerate(told.steps):
        for item in step.items:
            if (item.saw is not None and item.saw not in seen) or (item.heard or None) not in {None, *speakers}:
                continue
            if any(key in ids for key in item.sources) or (number == last and not item.sources):
                yield item, number


def _answers(number: int, item: Item, ids: Mapping[str, str], told: Told) -> bool:
    """Tell whether the turns of an item still say what they said when the script gave it."""
    then = told.steps[number][1]
    return all(then[key] == told.texts[key] for key in item.sources if key in ids)


def _new_lines(asked: Asked) -> list[dict[str, Any]]:
    """The lines that the model is to read; not those that were read before."""
    given = (str(each["content"]) for each in asked.messages if each["role"] == "user")
    text = next(each for each in given if "<messages>" in each)
    inner = text[text.rfind("<messages>") + len("<messages>") : text.rfind("</messages>")]
    return [json.loads(line) for line in inner.splitlines() if line.strip()]


def _ids(lines: Sequence[Mapping[str, Any]], told: Told) -> dict[str, str]:
    """The number of each turn's line, by the turn's key; turns that are no new line are left out."""
    found: dict[str, str] = {}
    free = [(str(line["n"]), _plain(str(line.get("text", "")))) for line in lines]
    for is_line in (str.__eq__, _is_part):
        for key, text in told.texts.items():
            line = next((each for each in free if key not in found and is_line(each[1], _plain(text))), None)
            if line is not None:
                found[key] = line[0]
                free.remove(line)
    return found


def _plain(text: str) -> str:
    return " ".join(text.split())


def _is_part(shown: str, text: str) -> bool:
    """Tell whether a line shows a turn of which something was cut out: a block, an end, or the speaker's name."""
    return len(shown) > 12 and (shown in text or text.startswith(shown[:60]) or text.endswith(shown[-60:]))


def _keys(asked: Asked) -> frozenset[str]:
    """The keys of an item that memhost asks for."""
    return frozenset(_properties(asked))


def _types(asked: Asked) -> frozenset[str]:
    """The kinds of items that memhost asks for."""
    return frozenset(_properties(asked).get("type", {}).get("enum", ()))


def _properties(asked: Asked) -> dict[str, Any]:
    schema: Any = asked.schema or {}
    found: dict[str, Any] = schema.get("properties", {}).get("memories", {}).get("items", {}).get("properties", {})
    return found


def _raw(
    item: Item, ids: Mapping[str, str], manner: Sequence[Manner], keys: frozenset[str], types: frozenset[str]
) -> dict[str, Any]:
    sources = [int(ids[key]) for key in item.sources if key in ids]
    raw: dict[str, Any] = {
        "text": item.text,
        "type": item.kind if item.kind in types else item.type,
        "scope": item.scope,
        "topics": item.topics,
        "entities": item.entities,
        "event_date": _when(item),
        "lines": [_mistyped(each) for each in sources] if "ids" in manner else sources,
        "confidence": item.confidence,
        "subject": item.subject,
        "polarity": item.polarity,
    }
    if "dates" in manner and raw["event_date"] is not None:
        raw["event_date"] = _in_words(raw["event_date"])
    if "words" in manner:
        raw["confidence"] = next(word for least, word in _WORDS if item.confidence >= least)
        raw["type"] = {"semantic": "Fact", "episodic": "Event"}.get(raw["type"], raw["type"].title())
    return {key: value for key, value in raw.items() if not keys or key in keys}


def _when(item: Item) -> str | None:
    """When it happened, or since when it holds: a date, or both ends of a span."""
    date = item.date or (item.since if item.type == "semantic" else None)
    return f"{date}/{item.end}" if date and item.end else date


def _related(item: Item, known: Mapping[str, int], keys: frozenset[str]) -> dict[str, Any]:
    """What an item says that it is to known memories; a memory that the prompt does not show is not known."""
    if "known" not in keys:
        return {}
    for word, target in (("same", item.same), ("replaces", item.replaces), ("adds", item.adds)):
        number = item.number if item.number is not None else known.get(_plain(target or ""))
        if target is not None and number is not None:
            return {"known": f"{word} {number}"}
    return {"known": "new"}


def _known(asked: Asked) -> dict[str, int]:
    """The numbers of the known memories in the prompt, by text."""
    given = "\n".join(str(each["content"]) for each in asked.messages if each["role"] == "user")
    lines = [json.loads(line) for line in given.splitlines() if re.match(r'\[\d+,"', line)]
    return {_plain(line[2]): line[0] for line in lines}


def _mistyped(number: int) -> int:
    """A number that no line has, as models write them."""
    return number + 100


def _in_words(date: str) -> str:
    """`2023-05-07` as May 7, 2023; anything else as it is."""
    match = re.fullmatch(r"(\d{4})-(\d\d)-(\d\d)", date)
    return date if match is None else f"{calendar.month_name[int(match[2])]} {int(match[3])}, {match[1]}"


def _written(items: list[dict[str, Any]], manner: Sequence[Manner]) -> str:
    """The answer in the manner of a model: the items as JSON, and what it does wrong around and inside of it."""
    if "repeated" in manner:
        items = [*items, *items[:1]]
    if "case" in manner:
        items = [{key.title(): value for key, value in item.items()} for item in items]
    value: Any = items if "bare" in manner else {"memories": items}
    text = repr(value) if "python" in manner else json.dumps(value, ensure_ascii=False, indent=1)
    if "comma" in manner:
        text = re.sub(r"(?<=[\]}\"\d])(?=\s*[\]}])", ",", text)
    if "cut" in manner:
        text = text[: text.rfind('"text"') + 12]
    if "fence" in manner:
        text = f"```json\n{text}\n```"
    if "prose" in manner:
        text = f"Sure! Here is what I noted from the conversation:\n\n{text}\n\nLet me know if you need anything else."
    if "thinking" in manner:
        text = f"<think>The user tells {len(items)} things. I list them as {{...}}.</think>\n{text}"
    return text


# -- the judge -------------------------------------------------------------------------------------------------


def _judgement(asked: Asked, told: Told) -> str:
    """The verdicts on pairs of texts: as the script relates them, whichever of them is shown as the older one."""
    verdicts = _relations(told)
    found = []
    for line in asked.prompt.splitlines():
        if line.startswith('{"pair": '):
            pair = json.loads(line)
            kind, text = verdicts.get(frozenset((pair["older"]["text"], pair["newer"]["text"])), ("distinct", None))
            found.append({"pair": pair["pair"], "verdict": kind, "text": text})
    return json.dumps({"verdicts": found}, ensure_ascii=False)


def _relations(told: Told) -> dict[frozenset[str], tuple[str, str | None]]:
    found: dict[frozenset[str], tuple[str, str | None]] = {}
    for step, _ in told.steps:
        for item in step.items:
            for target, verdict in ((item.same, "same"), (item.replaces, "update"), (item.adds, "merge")):
                if target is not None and item.number is None:
                    found[frozenset((item.text, target))] = (verdict, item.whole if verdict == "merge" else None)
    return found
