"""The parts of an HTTP request before any field is looked at: JSON text and query string."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec

from memhost.errors import Problem
from memhost.reading import MAX_DEPTH, depth_exceeds
from memhost_rest.decoding import DecodingError, NotJson

_BOM = b"\xef\xbb\xbf"
_MAX_SECOND_READING = 1024 * 1024
_AT_BYTE = re.compile(r"\s?\(byte ([0-9]+)\)")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_CHARSET = re.compile(r"charset\s*=\s*\"?([\w.-]+)", re.IGNORECASE)
_decode = msgspec.json.Decoder().decode


def parse_body(raw: bytes, content_type: str, *, strict: bool = False) -> Any:
    """The body as a JSON value; None if it is empty, `NotJson` if it is declared as something else.

    A key that an object holds twice has its last value; with `strict` it is refused, in bodies of at most 1 MB.

    Raises:
        DecodingError: It is not JSON, or nested too deeply.
    """
    if not raw:
        return None
    if not _is_json(content_type):
        return NotJson(raw[:1024].decode(errors="replace"), content_type[:100])
    if raw.startswith(_BOM):
        raw = raw[len(_BOM) :]
    try:
        value = _decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _malformed(raw, error) from None
    except RecursionError:
        raise _too_deep() from None
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and depth_exceeds(value):
        raise _too_deep()
    if strict and len(raw) <= _MAX_SECOND_READING:
        json.loads(raw, object_pairs_hook=_once)
    return value


def _once(pairs: list[tuple[str, Any]]) -> None:
    """Refuse an object that holds a key twice: which of its values bounds is anybody's guess."""
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise _json_invalid(0, f"an object has the key {key[:100]!r} twice")
        seen.add(key)


def _is_json(content_type: str) -> bool:
    if content_type == "application/json":
        return True
    media, _, parameters = content_type.partition(";")
    main, _, sub = media.strip().lower().partition("/")
    if main != "application" or not (sub == "json" or sub.endswith("+json")):
        return False
    charset = _CHARSET.search(parameters)
    return charset is None or charset[1].lower() in ("utf-8", "utf8", "us-ascii", "ascii")


def _malformed(raw: bytes, error: Exception) -> DecodingError:
    try:
        text = raw.decode()
    except UnicodeDecodeError as bad:
        return _json_invalid(_characters(raw, bad.start), "the body is not valid UTF-8")
    if len(raw) <= _MAX_SECOND_READING:
        try:
            json.loads(text)
        except json.JSONDecodeError as bad:  # says where more exactly than msgspec does
            return _json_invalid(bad.pos, bad.msg)
        except (RecursionError, ValueError):
            return _json_invalid(0, str(error))
    found = _SURROGATE.search(raw)
    if found and ("surrogate" in str(error) or "truncated" in str(error)):
        return _json_invalid(_characters(raw, found.start()), "lone surrogates are not allowed")
    at = _AT_BYTE.search(str(error))
    return _json_invalid(_characters(raw, int(at[1])) if at else 0, _AT_BYTE.sub("", str(error)))


def _characters(raw: bytes, offset: int) -> int:
    return len(raw[:offset].decode(errors="ignore"))


def _json_invalid(offset: int, text: str) -> DecodingError:
    return DecodingError(
        [
            Problem(
                where=("body", offset),
                kind="json_invalid",
                message=f"JSON decode error: {text}",
                value={},
                context={"error": text},
            )
        ]
    )


def _too_deep() -> DecodingError:
    return _json_invalid(0, f"nested more than {MAX_DEPTH} levels deep")


def parse_query(raw: bytes) -> dict[str, list[str]]:
    """Values by key, in order, percent-decoded; keys of empty value are kept.

    Raises:
        DecodingError: A value is not UTF-8.
    """
    found: dict[str, list[str]] = {}
    if not raw:
        return found
    problems: list[Problem] = []
    for part in raw.split(b"&"):
        if not part:
            continue
        key, _, value = part.replace(b"+", b" ").partition(b"=")
        name = unquote_to_bytes(key).decode(errors="replace")
        try:
            found.setdefault(name, []).append(unquote_to_bytes(value).decode())
        except UnicodeDecodeError:
            problems.append(not_utf8("query", name))
    if problems:
        raise DecodingError(problems)
    return found


def not_utf8(source: str, name: str) -> Problem:
    """The problem of percent-encoded bytes that are not text."""
    return Problem(where=(source, name), message="Value error, the bytes are not valid UTF-8")
