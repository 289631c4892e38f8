"""Logging: one event name and fields a line, as text or JSON, without secrets and memory contents.

Modules use the standard library (`logging.getLogger`) and give fields with
`log(logger, logging.INFO, "session.stored", turns=3)` or `extra={"fields": {...}}`. Fields carry
ids and counts; those that are known to hold contents are replaced by their length, at every level.

structlog would replace `log` and the JSON line (40 lines here); masking, lengths, tracebacks and the lines of libraries
that log through the standard library would stay. It costs 93 ms and 3.8 MB at start (8 % of the processor time, 4 % of
the memory) and, with the same fields and the standard library below it, 67 us more a line.
"""

from __future__ import annotations

import asyncio
import dis
import logging
import os
import re
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from time import monotonic
from typing import Any, Literal, TextIO

import msgspec

from memhost.errors import MemhostError

REQUEST_ID: ContextVar[str] = ContextVar("memhost_request_id", default="")
"""Id of the current request or job; each of its log lines contains it."""

ADDRESS: ContextVar[str] = ContextVar("memhost_address", default="")
"""Address, or network, that the current request comes from; empty outside of requests over HTTP."""

MASK = "********"

CONTENT_FIELDS = frozenset(
    {
        "text",
        "content",
        "query",
        "message",
        "messages",
        "memory",
        "memories",
        "prompt",
        "data",
        "body",
    }
)
"""Fields that could hold what people said; only their length is logged."""

_SECRET_FIELD = re.compile(
    r"(?:^|_)(?:password|passwd|secret|token|api_?key|authorization|credential|cookie)s?$",
    re.IGNORECASE,
)
_SECRET_TEXT = (
    (re.compile(r"(?i)\b(bearer)\s+[A-Za-z0-9+/=_\-.~]{4,}"), rf"\1 {MASK}"),
    (re.compile(r"(?i)\b(authorization\W{1,5}\w+)\s+[^\s\"']{4,}"), rf"\1 {MASK}"),
    (re.compile(r"\beyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]+(?:\.[A-Za-z0-9_\-]*)?"), MASK),
    (re.compile(r"\b(?:sk|pk|rk|ghp|gho|hf|xox[abp]|mh|mht)[-_][A-Za-z0-9_\-]{12,}"), MASK),
    # not the names of hooks and modules, which are of small letters alone
    (re.compile(r"\bmemhost[-_](?=[a-z_\-]{0,64}[A-Z0-9])[A-Za-z0-9_\-]{12,}"), MASK),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"), MASK),
    (re.compile(r"\bAIza[A-Za-z0-9_\-]{30,}"), MASK),
    (re.compile(r"(://[^/\s:@]*):[^@\s/]+@"), rf"\1:{MASK}@"),
    (
        re.compile(
            r"(?i)\b([a-z_]*(?:password|passwd|secret|token|api[_-]?key|authorization))"
            r"(\"?'?\s*[=:]\s*\"?'?)[^\s\"',;&}]{4,}"
        ),
        rf"\1\2{MASK}",
    ),
)
_TO_QUOTE = re.compile(r"[\s\"=]|^$")
_SPEAKING = (MemhostError, OSError, ImportError, TimeoutError)
"""Exceptions whose sentences are the server's own, or the operating system's."""

_OF_TYPES = (TypeError, AttributeError, NameError, UnboundLocalError, ImportError, ZeroDivisionError, RecursionError)
"""Exceptions that Python itself raises with names of types, attributes and variables alone."""
_RAISE = dis.opmap["RAISE_VARARGS"]
_SHORTEST, _MOST_SAID = 3, 500
"""Letters of a constant that is looked for in a sentence at least, and of a sentence at most."""

_REMEMBERED, _MAX_REMEMBERED = 2_000, 200
"""Number and letters of the texts that are remembered to hold no secret: most texts of a log come again and again."""
_CLEAN: set[str] = set()

_FOLDED_S = 60.0
_logger = logging.getLogger(__name__)

_LOUD_LIBRARIES = (
    "httpx",
    "sse_starlette",
    "httpcore",
    "asyncio",
    "LiteLLM",
    "litellm",
    "filelock",
    "urllib3",
    "mcp",
    "httpx2",
)
_TALKING_OF_STRANGERS = ("uvicorn.error",)
"""Loggers of libraries that write a line for each odd request."""
_COLORS = {"DEBUG": "2", "INFO": "32", "WARNING": "33", "ERROR": "31", "CRITICAL": "1;31"}


def log(logger: logging.Logger, level: int, event: str, /, **fields: Any) -> None:
    """Write one line: the event's name (`part.happened`) and its fields."""
    if logger.isEnabledFor(level):
        # What `logger.log` does, which takes as long again to find out that its caller is the caller of this function.
        caller = sys._getframe(1)
        code = caller.f_code
        place = (code.co_filename, caller.f_lineno)
        extra = {"fields": fields}
        logger.handle(logger.makeRecord(logger.name, level, *place, event, (), None, code.co_name, extra))


class Folding:
    """Writes the first refusals of each address and code in a minute, and then one line that counts the rest.

    Who is refused as fast as they can send would otherwise fill the disk that the log is on.

    Args:
        most: Lines of one address and code in a minute.
        kinds: Pairs of address and code that are counted apart in a minute; all further ones count as one address.
        time: Seconds of a clock that never goes back.
    """

    def __init__(self, most: int = 20, kinds: int = 200, time: Callable[[], float] = monotonic) -> None:
        self._most = most
        self._kinds = kinds
        self._time = time
        self._seen: dict[tuple[str, str], int] = {}
        self._until = 0.0

    def admits(self, address: str, code: str) -> bool:
        """Count a refusal; tell whether it gets a line of its own."""
        now = self._time()
        if now >= self._until:
            self.tell()
            self._until = now + _FOLDED_S
        key = (address, code)
        if key not in self._seen and len(self._seen) >= self._kinds:
            key = ("others", code)
        count = self._seen[key] = self._seen.get(key, 0) + 1
        if count == self._most + 1:
            with suppress(RuntimeError):  # outside of a server the next refusal tells
                asyncio.get_running_loop().call_later(self._until - now, self.tell)
        return count <= self._most

    def tell(self) -> None:
        """Write how many refusals had no line of their own, and start the next minute."""
        seen, self._seen = self._seen, {}
        for (address, code), count in seen.items():
            if count > self._most:
                log(_logger, logging.INFO, "requests.folded", address=address, code=code, more=count - self._most)


FOLDING = Folding()
"""Counts for the whole process."""


def log_refusal(logger: logging.Logger, level: int, event: str, /, *, code: str, **fields: Any) -> None:
    """Write one line about a request that was refused, if the same address has not filled the minute with them."""
    if FOLDING.admits(ADDRESS.get(), code):
        log(logger, level, event, **fields, code=code)


def _fold_library(record: logging.LogRecord) -> bool:
    """Filter of lines that a library writes about what strangers send."""
    return record.levelno > logging.WARNING or FOLDING.admits(ADDRESS.get(), record.name)


def mask(text: str) -> str:
    """The text with everything that looks like a secret replaced."""
    if text in _CLEAN:
        return text
    masked = _masked(text)
    if masked == text and len(text) <= _MAX_REMEMBERED:
        if len(_CLEAN) >= _REMEMBERED:
            _CLEAN.clear()
        _CLEAN.add(text)
    return masked


def _masked(text: str) -> str:
    for pattern, replacement in _SECRET_TEXT:
        text = pattern.sub(replacement, text)
    from memhost.secrets.detector import find_secrets  # which commands that log nothing need not load

    for secret in reversed(find_secrets(text)):
        text = f"{text[: secret.start]}{MASK}{text[secret.end :]}"
    return text


def clean(name: str, value: Any) -> Any:
    """A field's value as it may be logged."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    kind = _kind(name)
    if kind == "secret":
        return MASK if value else value
    if kind == "content" and isinstance(value, (str, bytes, list, tuple, dict)):
        return f"<{len(value)} {'characters' if isinstance(value, str) else 'items'}>"
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, Mapping):
        return {str(key): clean(str(key), item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [clean("", item) for item in value]
    return mask(str(value))


@lru_cache(maxsize=500)
def _kind(name: str) -> Literal["secret", "content", ""]:
    """The sort of value that a field of that name holds."""
    if _SECRET_FIELD.search(name):
        return "secret"
    return "content" if name.lower() in CONTENT_FIELDS else ""


def describe(error: BaseException, place: str = "") -> str:
    """An exception as it may be logged: with those parts of its sentence that cannot quote what people said.

    Of what foreign code raises that is what stands in its code, and what Python says of types and attributes; a value
    that was put in is left out (`…`). The level DEBUG shows everything.

    Args:
        error: The exception.
        place: File and line to name instead of those that raised it, as the line of a plugin that called a library.
    """
    name = type(error).__name__
    if isinstance(error, _SPEAKING) or logging.getLogger().isEnabledFor(logging.DEBUG):
        return f"{name}: {error} at {place}" if place else f"{name}: {error}"
    found = [*traceback.walk_tb(error.__traceback__)]
    if found and not place:
        place = f"{Path(found[-1][0].f_code.co_filename).name}:{found[-1][1]}"
    said = _of_the_code(error)
    return f"{name}{f': {said}' if said else ''}{f' at {place}' if place else ''}"


def _of_the_code(error: BaseException) -> str:
    """Those parts of an exception's sentence that are constants of the code that raised it, or Python's own."""
    trace = error.__traceback__
    if trace is None:
        return ""
    while trace.tb_next is not None:
        trace = trace.tb_next
    code, said = trace.tb_frame.f_code, str(error)[:_MOST_SAID]
    if code.co_code[trace.tb_lasti] != _RAISE:
        return said if type(error) in _OF_TYPES else ""
    kept = [False] * len(said)
    for constant in code.co_consts:
        if isinstance(constant, str) and len(constant) >= _SHORTEST:
            at = said.find(constant)
            while at >= 0:
                kept[at : at + len(constant)] = [True] * len(constant)
                at = said.find(constant, at + 1)
    told = "".join(
        "…" if not keep and (at == 0 or kept[at - 1]) else said[at] if keep else "" for at, keep in enumerate(kept)
    )
    return told if any(sign.isalpha() for sign in told) else ""


def stack_of(error: BaseException) -> str:
    """The traceback of an exception and of what caused it, with the sentences that `describe` lets through."""
    parts = []
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        parts += [stack_of(cause), "Then:"]
    return "\n".join([*parts, "".join(traceback.format_tb(error.__traceback__)) + describe(error)])


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """The cleaned fields of a log record, with the request id if there is one."""
    given = getattr(record, "fields", None)
    fields = {str(key): clean(str(key), value) for key, value in given.items()} if given else {}
    request_id = REQUEST_ID.get()
    if request_id:
        fields.setdefault("request_id", request_id)
    return fields


class TextFormatter(logging.Formatter):
    """`12:30:05 warning plugin.failed plugin=x error="..."`, in colour on terminals."""

    def __init__(self, *, color: bool = False) -> None:
        super().__init__()
        self._color = color

    def format(self, record: logging.LogRecord) -> str:
        """The line, and the traceback if there is one."""
        time = _clock_time(int(record.created))
        level = f"{record.levelname.lower():<8}"
        if self._color:
            level = f"\x1b[{_COLORS.get(record.levelname, '0')}m{level}\x1b[0m"
        parts = [time, level, mask(record.getMessage())]
        parts += [f"{name}={_quote(value)}" for name, value in fields_of(record).items()]
        line = " ".join(parts)
        if record.exc_info and record.exc_info[1] is not None:
            line += "\n" + mask(stack_of(record.exc_info[1]))
        return line


@lru_cache(maxsize=1)
def _clock_time(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).astimezone().strftime("%H:%M:%S")


def _quote(value: Any) -> str:
    if type(value) is int:
        return str(value)
    if not isinstance(value, str):
        return msgspec.json.encode(value, enc_hook=str).decode()
    return _quoted(value) if len(value) <= _MAX_REMEMBERED else _quoted.__wrapped__(value)


@lru_cache(maxsize=500)
def _quoted(value: str) -> str:
    plain = value.isprintable() and not _TO_QUOTE.search(value)
    return value if plain else msgspec.json.encode(value).decode()


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, event, then the fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": mask(record.getMessage()),
        }
        for name, value in fields_of(record).items():
            line[f"field_{name}" if name in line else name] = value
        if record.exc_info and record.exc_info[1] is not None:
            line["traceback"] = mask(stack_of(record.exc_info[1]))
        return msgspec.json.encode(line, enc_hook=str).decode()


def configure(level: str = "INFO", form: Literal["text", "json"] = "text", stream: TextIO | None = None) -> None:
    """Send all logging of the process to stderr in one form; calling again replaces the first.

    What uvicorn says about its own start and stop is left out; its errors come in the same form.

    Args:
        level: Least severe level written.
        form: `text` for people, `json` for machines.
        stream: Where to write instead of stderr.
    """
    target = sys.stderr if stream is None else stream
    handler = logging.StreamHandler(target)
    color = target.isatty() and "NO_COLOR" not in os.environ
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter(color=color))
    handler.set_name("memhost")
    root = logging.getLogger()
    for old in list(root.handlers):
        if old.get_name() == "memhost":
            root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.asgi", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.DEBUG if level == "DEBUG" else logging.WARNING)
    logging.getLogger("uvicorn.access").disabled = True
    for name in _TALKING_OF_STRANGERS:
        logging.getLogger(name).addFilter(_fold_library)  # once, however often: the same filter is not added again
    for name in _LOUD_LIBRARIES:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(True)
