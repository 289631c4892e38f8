"""Recognises requests that a provider refuses for good: for their content, or because the text is too long.

No single sign is trusted, since each has been lost before when the library changed: its own classes follow the wording
of messages, codes stand in the body, in the response or in nothing but the text, and some providers give only a
sentence. In this order a failure tells by

1. the classes of the error and of those that led to it,
2. machine-readable names (`code`, `type`, `reason`, ...) in the provider's body, wherever any of them keeps it,
3. the provider's sentence, where the status says that the request is at fault.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

import msgspec

Refusal = Literal["content", "length"]

_CLASSES: Mapping[str, Refusal] = {
    "ContentPolicyViolationError": "content",
    "ContentFilterFinishReasonError": "content",
    "RejectedRequestError": "content",
    "GuardrailRaisedException": "content",
    "ContextWindowExceededError": "length",
    "LengthFinishReasonError": "length",
}
# Names as providers document them, without case and signs. OpenAI: content_policy_violation, moderation_blocked,
# cyber_policy, context_length_exceeded. Azure: content_filter, ResponsibleAIPolicyViolation. Gemini: SAFETY,
# PROHIBITED_CONTENT, BLOCKLIST, SPII. Bedrock: guardrail_intervened. Anthropic: refusal, request_too_large,
# model_context_window_exceeded. Alibaba: data_inspection_failed. llama.cpp: exceed_context_size_error.
_NAMES: Mapping[str, Refusal] = {
    **dict.fromkeys(
        (
            "contentpolicyviolation",
            "contentpolicy",
            "contentfilter",
            "contentfiltered",
            "contentblocked",
            "responsibleaipolicyviolation",
            "cyberpolicy",
            "moderationblocked",
            "prohibitedcontent",
            "safety",
            "blocklist",
            "spii",
            "guardrailintervened",
            "datainspectionfailed",
            "refusal",
        ),
        "content",
    ),
    **dict.fromkeys(
        (
            "contextlengthexceeded",
            "contextwindowexceeded",
            "modelcontextwindowexceeded",
            "exceedcontextsizeerror",
            "requesttoolarge",
        ),
        "length",
    ),
}
_SENTENCES: tuple[tuple[re.Pattern[str], Refusal], ...] = (
    (
        re.compile(
            r"maximum (?:context|input|sequence) length|context (?:length|window|size|limit)"
            r"|(?:prompt|inputs?|messages?|text|request) (?:is |are |was )?too (?:long|large)"
            r"|too many (?:input |prompt )?tokens|maximum number of (?:input )?tokens"
            r"|input tokens exceed|input length exceeds|reduce the length of|too large to process"
            r"|longer than the maximum (?:model|sequence) length",
            re.IGNORECASE,
        ),
        "length",
    ),
    (
        re.compile(
            r"content[ _-](?:management |filtering |filter |usage )?polic(?:y|ies)|usage polic(?:y|ies)"
            r"|safety system|content[ _-]filter|flagged (?:as|by|for)|(?:input|prompt|content) was flagged"
            r"|(?:prompt|response|content|output) (?:was |has been )?blocked"
            r"|(?:inappropriate|unsafe|harmful|sensitive) content|content exists risk|considered high risk",
            re.IGNORECASE,
        ),
        "content",
    ),
)
_TOO_LONG_AS_A_FAULT = re.compile(
    r"input (?:\(\d+ tokens\) )?is too large to process|input length exceeds the (?:maximum )?context length",
    re.IGNORECASE,
)
"""The sentences of llama.cpp and Ollama, sent as a server error (500). Nothing looser: other server errors pass."""

_KEYS = ("code", "type", "reason", "status", "finish_reason", "blockReason", "block_reason")
_OF_THE_TEXT = ("", "messages", "message", "prompt", "input", "inputs", "contents", "content", "text", "texts")
"""Values of `param` that blame what was said rather than another part of the request."""

_OTHER_STATUS = (401, 404, 408, 429)
_FAULT_OF_THE_REQUEST = (400, 403, 413, 422)
_DEEPEST = 5
_MAX_TEXT_LENGTH = 20_000  # characters of an error's text in which a body is looked for
_MAX_SENTENCE_LENGTH = 500  # characters of the provider's sentence; what comes later is often an echo of the request


def refusal_of(error: BaseException) -> Refusal | None:
    """Why the provider declines for good, None if the failure says nothing of the kind."""
    chain = list(_chain(error))
    for each in chain:
        for kind in type(each).__mro__:
            if kind.__name__ in _CLASSES:
                return _CLASSES[kind.__name__]
    status = next((found for each in chain if isinstance(found := getattr(each, "status_code", None), int)), None)
    if status in _OTHER_STATUS:
        return None
    bodies = [body for each in chain for body in _bodies(each)]
    texts = [str(each)[:_MAX_TEXT_LENGTH] for each in chain]
    bodies += [body for text in texts if (body := _body_in(text)) is not None]
    if found := named(name for body in bodies for name in _names(body)):
        return found
    if status == 413:
        return "length"
    if status == 500 and any(
        _TOO_LONG_AS_A_FAULT.search(str(each)[:_MAX_SENTENCE_LENGTH]) for each in (*bodies, *texts)
    ):
        return "length"
    return _said(bodies, texts) if status in _FAULT_OF_THE_REQUEST else None


def named(names: Iterable[object]) -> Refusal | None:
    """Return the meaning of the first known name (`content_filter`, `SAFETY`, `context_length_exceeded`)."""
    for name in names:
        plain = re.sub(r"[^a-z0-9]", "", str(name)[:_MAX_SENTENCE_LENGTH].lower())
        if plain in _NAMES:
            return _NAMES[plain]
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and those that it was raised from or during: the library wraps its provider's in one or two."""
    each: BaseException | None = error
    for _ in range(_DEEPEST):
        if each is None:
            return
        yield each
        each = each.__cause__ or each.__context__


def _bodies(error: BaseException) -> Iterator[Any]:
    """Yield what the provider sent, as far as the error keeps it."""
    yield getattr(error, "body", None)
    try:
        content = getattr(getattr(error, "response", None), "content", None)
        if isinstance(content, bytes | str):
            yield msgspec.json.decode(content)
    except Exception:  # noqa: BLE001 - an answer that was not read or is no JSON tells nothing, whatever library's it is
        return


def _body_in(text: str) -> Any:
    """The provider's body where an error quotes it in its text, as JSON or as Python writes it; None if it does not."""
    start, end = text.find("{"), text.rfind("}")
    if start < 0 or end < start:
        return None
    try:
        return json.JSONDecoder().raw_decode(text, start)[0]
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(text[start : end + 1])
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def _names(value: Any, depth: int = 0) -> Iterator[object]:
    """The machine-readable names in a body, outer ones first."""
    if depth > _DEEPEST:
        return
    if isinstance(value, dict):
        yield from (value[key] for key in _KEYS if isinstance(value.get(key), str))
        if "flagged_input" in value:  # OpenRouter's moderation, which has no code of its own
            yield "content_filter"
        for inner in value.values():
            yield from _names(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value[:_DEEPEST]:
            yield from _names(inner, depth + 1)


def _said(bodies: Iterable[Any], texts: Iterable[str]) -> Refusal | None:
    """Return the meaning of the provider's sentence: that of the body if there is one, else the error's own text."""
    sentences = []
    for body in bodies:
        inner = body.get("error", body) if isinstance(body, dict) else body
        if isinstance(inner, dict):
            if str(inner.get("param") or "").lower().partition(".")[0].partition("[")[0] not in _OF_THE_TEXT:
                return None
            sentences.append(str(inner.get("message") or inner.get("detail") or ""))
        elif isinstance(inner, str):
            sentences.append(inner)
    for sentence in [each for each in sentences if each] or texts:
        for pattern, kind in _SENTENCES:
            if pattern.search(sentence[:_MAX_SENTENCE_LENGTH]):
                return kind
    return None
