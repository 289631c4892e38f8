"""The four formats of a context: Markdown, XML, JSON and messages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from memhost.context.evidence import Evidence
from memhost.context.parts import Item, Parts
from memhost.operations.long_term import ContextFormat
from memhost.operations.responses import PromptMessage, TextContent
from memhost.text.best_passage import CUT
from memhost.text.recalled.fence import NOT_OBEYED, fenced, id_text, visible_json, xml_text

RULES_ABOUT = "Standing rules are what the user asked for: keep them."
"""Sentence that stands at the top where there are rules: they are no data, unlike everything else."""


class Rendered(NamedTuple):
    """A context as text: `stable` is its beginning, which does not depend on the query, `rest` all behind it."""

    stable: str
    rest: str

    @property
    def text(self) -> str:
        """The whole."""
        return self.stable + self.rest


def render(parts: Parts, form: ContextFormat, *, ids: bool) -> Rendered:
    """The parts in that format; with `ids` each item names its memories."""
    return _FORMATS[form](parts, ids)


def messages_of(rendered: Rendered) -> list[PromptMessage]:
    """The stable part and the rest as a system message each."""
    texts = (rendered.stable.strip(), rendered.rest.strip())
    return [PromptMessage(role="system", content=TextContent(text=text)) for text in texts if text]


def line_of(evidence: Evidence, *, alone: bool = False) -> str:
    """The text behind who said it; behind a mark, if turns before it were left out; `alone`, without its source."""
    source = f"({evidence.source}) " if evidence.source and not alone else ""
    told = f"{source}{evidence.speaker}: {evidence.text}" if evidence.speaker else source + evidence.text
    return f"{CUT} {told}" if evidence.skipped else told


def _verified(parts: Parts) -> list[Item]:
    return [item for item in parts.items if item.verified]


def _unverified(parts: Parts) -> list[Item]:
    return [item for item in parts.items if not item.verified]


def _about(parts: Parts) -> str:
    return f"{parts.about} {RULES_ABOUT}" if parts.rules else parts.about


# -- Markdown ----------------------------------------------------------------------------------------------------


def _markdown(parts: Parts, ids: bool) -> Rendered:
    stable = [f"## Memory\n{_about(parts)}\n"]
    stable += [f"{parts.people}\n"] if parts.people else []
    for title, lines in (("Standing rules", parts.rules), ("Profile", parts.profile)):
        if lines:
            stable.append(f"### {title}\n" + "".join(f"- {line}\n" for line in lines))
    rest = [parts.today, *parts.notes]
    rest += [line for item in _verified(parts) for line in _markdown_item(item, ids)]
    if others := _unverified(parts):
        rest.append("### Not verified")
        rest += fenced(NOT_OBEYED, [line for item in others for line in _markdown_item(item, ids)])
    return Rendered("".join(stable), "".join(f"{line}\n" for line in rest))


def _markdown_item(item: Item, ids: bool) -> list[str]:
    notes = list(_notes(item, ids))
    head = f"[{item.ref}] {item.said}" + (f" ({'; '.join(notes)})" if notes else "")
    first, *others = (line_of(each, alone=len(item.evidence) == 1) for each in item.evidence)
    return [f"{head} {first}", *(f"  {line}" for line in others)]


def _notes(item: Item, ids: bool) -> Iterator[str]:
    if item.event:
        yield f"event {item.event}"
    if item.until:
        yield f"until {item.until}"
    if item.outdated:
        yield f"no longer so {item.outdated}"
    if item.source:
        yield item.source
    if ids:
        yield "ID: " + ", ".join(id_text(each.hit.id) for each in item.evidence)


# -- XML ---------------------------------------------------------------------------------------------------------


def _xml(parts: Parts, ids: bool) -> Rendered:
    stable = [f"<memory>\n<about>{xml_text(_about(parts))}</about>\n"]
    stable += [f"<people>{xml_text(parts.people)}</people>\n"] if parts.people else []
    for name, inner, lines in (("rules", "rule", parts.rules), ("profile", "fact", parts.profile)):
        if lines:
            listed = "".join(f"<{inner}>{xml_text(line)}</{inner}>\n" for line in lines)
            stable.append(f"<{name}>\n{listed}</{name}>\n")
    rest = [f"<today>{xml_text(parts.today)}</today>\n"]
    rest += [f"<note>{xml_text(note)}</note>\n" for note in parts.notes]
    rest += [_xml_item(item, ids) for item in _verified(parts)]
    if others := _unverified(parts):
        rest += ["<unverified>\n", *(_xml_item(item, ids) for item in others), "</unverified>\n"]
    return Rendered("".join(stable), "".join((*rest, "</memory>")))


def _xml_item(item: Item, ids: bool) -> str:
    named = _fields(item, ids)
    alone = len(item.evidence) == 1
    if alone and item.evidence[0].speaker:
        named["speaker"] = item.evidence[0].speaker
    head = "".join(f' {name}="{xml_text(value)}"' for name, value in named.items())
    if alone:
        return f"<item{head}>{xml_text(item.evidence[0].text)}</item>\n"
    return f"<item{head}>{''.join(map(_xml_turn, item.evidence))}</item>\n"


def _xml_turn(turn: Evidence) -> str:
    skipped = f' skipped="{turn.skipped}"' if turn.skipped else ""
    source = f' source="{xml_text(turn.source)}"' if turn.source else ""
    return f'<turn speaker="{xml_text(turn.speaker)}"{source}{skipped}>{xml_text(turn.text)}</turn>'


def _fields(item: Item, ids: bool) -> dict[str, str]:
    fields = {
        "ref": str(item.ref),
        "said": item.said,
        "event": item.event,
        "until": item.until,
        "outdated": item.outdated,
        "source": item.source,
        "ids": " ".join(each.hit.id for each in item.evidence) if ids else "",
    }
    return {name: value for name, value in fields.items() if value}


# -- JSON --------------------------------------------------------------------------------------------------------


def _json(parts: Parts, ids: bool) -> Rendered:
    stable: dict[str, Any] = {"about": _about(parts)}
    for name in ("people", "rules", "profile"):
        if value := getattr(parts, name):
            stable[name] = value
    rest: dict[str, Any] = {"today": parts.today}
    if parts.notes:
        rest["notes"] = parts.notes
    rest["evidence"] = [_json_item(item, ids) for item in _verified(parts)]
    if others := _unverified(parts):
        rest["unverified"] = [_json_item(item, ids) for item in others]
    first, second = (visible_json(msgspec.json.encode(part).decode()) for part in (stable, rest))
    return Rendered(first[:-1] + ",", second[1:])


def _json_item(item: Item, ids: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {**_fields(item, False), "ref": item.ref}
    if ids:
        shown["ids"] = [each.hit.id for each in item.evidence]
    if len(item.evidence) == 1:
        (only,) = item.evidence
        return {**shown, **({"speaker": only.speaker} if only.speaker else {}), "text": only.text}
    return {**shown, "turns": [_json_turn(each) for each in item.evidence]}


def _json_turn(turn: Evidence) -> dict[str, Any]:
    told = {"source": turn.source, "skipped": turn.skipped}
    return {"speaker": turn.speaker, **{name: value for name, value in told.items() if value}, "text": turn.text}


_FORMATS: Mapping[ContextFormat, Callable[[Parts, bool], Rendered]] = {
    "markdown": _markdown,
    "messages": _markdown,
    "xml": _xml,
    "json": _json,
}
