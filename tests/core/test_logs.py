"""Log lines: form, fields, request ids, and the data they must not contain."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable

import msgspec
import pytest

from memhost import logs

logger = logging.getLogger("memhost.test")


@pytest.fixture
def capture() -> Callable[..., io.StringIO]:
    def start(level: str = "INFO", form: str = "text") -> io.StringIO:
        stream = io.StringIO()
        logs.configure(level, form, stream)  # type: ignore[arg-type]
        return stream

    return start


def test_text_line_has_event_and_fields(capture: Callable[..., io.StringIO]) -> None:
    stream = capture()
    logs.log(logger, logging.INFO, "session.stored", session="a b", turns=3)
    assert stream.getvalue().endswith('info     session.stored session="a b" turns=3\n')


def test_json_line_has_event_fields_and_request_id(capture: Callable[..., io.StringIO]) -> None:
    stream = capture(form="json")
    token = logs.REQUEST_ID.set("r1")
    try:
        logs.log(logger, logging.WARNING, "x.happened", count=2, level="odd")
    finally:
        logs.REQUEST_ID.reset(token)
    line = json.loads(stream.getvalue())
    assert line["event"] == "x.happened"
    assert line["level"] == "warning"
    assert line["logger"] == "memhost.test"
    assert (line["count"], line["request_id"], line["field_level"]) == (2, "r1", "odd")


def test_terminals_are_not_written_to(capture: Callable[..., io.StringIO]) -> None:
    stream = capture()
    logs.log(logger, logging.WARNING, "auth.failed", subject="ann\x1b[2J", other="")
    assert "\x1b" not in stream.getvalue()
    assert 'other=""' in stream.getvalue()


def test_lines_below_the_level_are_left_out(capture: Callable[..., io.StringIO]) -> None:
    stream = capture("WARNING")
    logs.log(logger, logging.INFO, "quiet")
    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    "secret",
    [
        "Bearer abcdef0123456789",
        "Authorization: Basic dXNlcjpwYXNz",
        "sk-proj-abcdefghijklmnop",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
        "redis://user:hunter2secret@db:6379/0",
        "AKIAABCDEFGHIJKLMNOP",
        "api_key=hunter2secret",
        '{"password": "hunter2secret"}',
        "glpat-hunter2secretABCDEF12",
        "Mein Passwort ist hunter2secret",
    ],
)
def test_secret_shapes_are_masked(capture: Callable[..., io.StringIO], secret: str) -> None:
    stream = capture()
    logs.log(logger, logging.ERROR, "failed", detail=f"calling with {secret} failed")
    logger.error("message %s", secret)
    try:
        raise ValueError(secret)
    except ValueError:
        logger.exception("raised")
    written = stream.getvalue()
    assert logs.MASK in written
    for part in ("abcdef0123456789", "dXNlcjpwYXNz", "abcdefghijklmnop", "c2lnbmF0", "hunter2", "AKIAABC"):
        assert part not in written


def test_a_line_that_comes_again_is_masked_again(capture: Callable[..., io.StringIO]) -> None:
    """Texts without secrets are remembered; one that has become known says nothing about a longer one, or a field."""
    stream = capture()
    for _ in range(2):
        logs.log(logger, logging.INFO, "x", detail="hunter2secret")
        logs.log(logger, logging.INFO, "x", detail="password=")
        logs.log(logger, logging.INFO, "y", detail="password=hunter2secret")
        logs.log(logger, logging.INFO, "y", password="hunter2secret")
        logs.log(logger, logging.INFO, "y", text="hunter2secret")
    lines = stream.getvalue().splitlines()
    assert ["hunter2secret" in line for line in lines] == [True, False, False, False, False] * 2


def test_more_texts_than_are_remembered_are_masked_alike() -> None:
    texts = [text for number in range(3_000) for text in (f"session {number}", f"password=hunter2secret{number}")]
    first = [logs.mask(text) for text in texts]
    assert [logs.mask(text) for text in texts] == first
    assert first[0::2] == texts[0::2]
    assert set(first[1::2]) == {f"password={logs.MASK}"}


def test_secret_fields_are_masked_whatever_they_hold(capture: Callable[..., io.StringIO]) -> None:
    stream = capture()
    logs.log(logger, logging.INFO, "x", api_key="abc", auth={"token": "def", "tokens": 3}, input_tokens=7)
    assert "abc" not in stream.getvalue()
    assert "def" not in stream.getvalue()
    assert "input_tokens=7" in stream.getvalue()


@pytest.mark.parametrize("level", ["DEBUG", "INFO"])
def test_contents_are_replaced_by_their_length(capture: Callable[..., io.StringIO], level: str) -> None:
    stream = capture(level)
    logs.log(logger, logging.INFO, "x", text="my diary", messages=["my diary"], inner={"query": "my diary"})
    assert "diary" not in stream.getvalue()
    assert "<8 characters>" in stream.getvalue()


@pytest.mark.parametrize("library", ["sse_starlette.sse", "mcp.server", "httpx", "LiteLLM"])
def test_libraries_that_log_contents_are_quiet_at_every_level(
    capture: Callable[..., io.StringIO], library: str
) -> None:
    stream = capture("DEBUG")
    logging.getLogger(library).debug("chunk: %s", b"my diary")
    logger.debug("what is our own")
    assert "diary" not in stream.getvalue()
    assert "our own" in stream.getvalue()


def test_ordinary_words_stay(capture: Callable[..., io.StringIO]) -> None:
    stream = capture()
    logs.log(logger, logging.INFO, "token.expired", detail="the token ran out; basic rules apply")
    assert logs.MASK not in stream.getvalue()


def test_uvicorn_goes_the_same_way_without_access_lines(capture: Callable[..., io.StringIO]) -> None:
    stream = capture(form="json")
    logging.getLogger("uvicorn.error").info("Started server process")
    logging.getLogger("uvicorn.access").info("GET /")
    logging.getLogger("uvicorn.error").error("broken")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["broken"]


def test_configuring_again_replaces_the_first(capture: Callable[..., io.StringIO]) -> None:
    first, second = capture(), capture()
    logs.log(logger, logging.INFO, "x")
    assert first.getvalue() == ""
    assert second.getvalue().count("\n") == 1


def test_a_line_names_the_place_that_wrote_it() -> None:
    records: list[logging.LogRecord] = []
    logger = logging.getLogger("memhost.test_place")

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    handler = Keeper()
    logger.addHandler(handler)
    try:
        logs.log(logger, logging.WARNING, "place.told", turns=3)
        logger.warning("place.told", extra={"fields": {"turns": 3}})
    finally:
        logger.removeHandler(handler)
    ours, usual = records
    assert (ours.lineno + 1, ours.funcName) == (usual.lineno, usual.funcName)
    for name in ("pathname", "module", "levelname", "name", "msg", "args", "exc_info", "fields"):
        assert getattr(ours, name) == getattr(usual, name)


SAID = "my boss is a crook"


def _raised(call: Callable[[], object]) -> str:
    try:
        call()
    except Exception as error:  # noqa: BLE001 - any, to be described
        return logs.describe(error)
    raise AssertionError("it raised nothing")


def _constant(_text: str) -> None:
    raise ValueError("the model gave no list")


def _formatted(text: str) -> None:
    raise ValueError(f"no list but {text!r} came back")


def _joined(text: str) -> None:
    raise KeyError("unknown: " + text)


def _value(text: str) -> None:
    raise LookupError(text)


def _type_error(text: str) -> None:
    raise TypeError(f"not {text}")


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (_constant, "ValueError: the model gave no list at"),
        (_formatted, "ValueError: no list but … came back at"),
        (_joined, "KeyError: …unknown: … at"),
        (_value, "LookupError at"),
        (_type_error, "TypeError: not … at"),
        (lambda text: text + 1, "TypeError: can only concatenate str"),
        (lambda text: text.shout(), "AttributeError: 'str' object has no attribute 'shout' at"),
        (lambda text: 1 // (len(text) - len(text)), "ZeroDivisionError: integer division or modulo by zero at"),
        (lambda text: {}[text], "KeyError at"),
        (lambda text: int(text), "ValueError at"),
        (lambda text: text.encode("utf-16").decode("ascii"), "UnicodeDecodeError at"),
        (lambda text: json.loads(text), "JSONDecodeError"),
        (lambda text: msgspec.convert(text, int), "ValidationError at"),
        (lambda text: msgspec.convert({text: 1}, dict[int, int]), "ValidationError at"),
    ],
)
@pytest.mark.parametrize("said", [SAID, "мой начальник вор", "上司は泥棒だ"])
def test_what_foreign_code_raises_is_told_without_what_people_said(
    call: Callable[[str], object], told: str, said: str
) -> None:
    described = _raised(lambda: call(said))
    assert described.startswith(told)
    assert said not in described
