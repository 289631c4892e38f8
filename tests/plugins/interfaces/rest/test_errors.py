from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import apsw
import pytest

from memhost import errors
from memhost.errors import MemhostError, Problem
from memhost.http.statuses import status_of
from memhost_mcp.failures import describe
from memhost_rest.errors import SERVER_ERROR, detail_of, items
from memhost_store_sqlite.failures import explain

from .rest_fakes import FakeHost, client_for

CASES: list[tuple[MemhostError, int]] = [
    (errors.ValidationFailed([Problem(message="x")]), 422),
    (errors.UnsafePrompt([Problem(message="x")]), 422),
    (errors.SecretFound([Problem(message="x")]), 422),
    (errors.InvalidRequest("x"), 400),
    (errors.TooLarge("x"), 413),
    (errors.LongTermMemoryDisabled("x"), 400),
    (errors.Refused("x"), 400),
    (errors.NotFound("x"), 404),
    (errors.Conflict("x"), 409),
    (errors.AmbiguousSession("x"), 409),
    (errors.LimitReached("x"), 409),
    (errors.QuotaExceeded("x"), 409),
    (errors.ReviewLimitReached(["x"], 1), 409),
    (errors.Busy("x"), 409),
    (errors.IdTaken(["x"]), 409),
    (errors.VersionMismatch("x"), 409),
    (errors.LeaseLost("x"), 409),
    (errors.DocumentGone("x"), 409),
    (errors.ModelRefused("x"), 400),
    (errors.BudgetExceeded("x", resets_at=datetime(2026, 1, 1, tzinfo=UTC)), 429),
    (errors.AnswerUnusable("x"), 503),
    (errors.SessionChanged("x"), 409),
    (errors.SeveralFound("x"), 404),
    (errors.UnknownTask("x"), 404),
    (errors.ScopeRequired("x"), 400),
    (errors.MemoryChanged(["x"]), 409),
    (errors.Unsupported("x"), 400),
    (errors.QuotaExceeded("x"), 409),
    (errors.Tampered("x"), 409),
    (errors.Unauthorized("x"), 401),
    (errors.Forbidden("x"), 403),
    (errors.TooManyRequests("x", retry_after_s=1), 429),
    (errors.Unavailable("x"), 503),
    (errors.StoreUnavailable("x"), 503),
    (errors.ModelUnavailable("x"), 503),
    (errors.RequestRejected("x"), 503),
    (errors.ConfigurationError("x"), 500),
    (errors.OperationUnusable("x", "y"), 500),
    (errors.MissingExtra("x", "y"), 500),
    (errors.StoreMismatch("x"), 500),
    (errors.PluginFailure("x"), 500),
    (MemhostError("x"), 500),
]


@pytest.mark.parametrize(("error", "status"), CASES, ids=lambda case: type(case).__name__)
def test_error_has_its_status(error: MemhostError, status: int) -> None:
    assert status_of(error) == status


def _tree(cls: type[MemhostError]) -> set[type[MemhostError]]:
    return {cls}.union(*(_tree(child) for child in cls.__subclasses__()))


def test_every_error_of_the_host_is_decided_here() -> None:
    host = {cls for cls in _tree(MemhostError) if cls.__module__ == "memhost.errors"}
    assert host <= {type(error) for error, _ in CASES}


def test_error_of_a_plugin_has_the_status_of_its_ancestor() -> None:
    class Gone(errors.NotFound):
        code = "acme_gone"

    class LimitedError(MemhostError):
        code = "rate_limited"

    assert status_of(Gone("x")) == 404
    assert status_of(LimitedError("x")) == 429


def test_server_errors_tell_no_internals() -> None:
    assert detail_of(errors.PluginFailure("/etc/secret broke"), 500) == SERVER_ERROR
    assert detail_of(errors.StoreUnavailable("The store does not answer."), 503).startswith("The")


def test_problem_becomes_item_at_its_source() -> None:
    problem = Problem(where=("limit",), kind="int_type", message="m", value=[], context={"a": 1})
    assert items([problem], lambda _: "query") == [
        {"type": "int_type", "loc": ["query", "limit"], "msg": "m", "input": [], "ctx": {"a": 1}}
    ]


def test_problem_of_the_whole_request_stands_at_body() -> None:
    (item,) = items([Problem(message="memories.0: text is empty")], lambda _: "query")
    assert item["loc"] == ["body"]
    assert item["msg"] == "Value error, memories.0: text is empty"
    assert "ctx" not in item


def test_value_error_prefix_is_not_repeated() -> None:
    assert items([Problem(message="Value error, x")])[0]["msg"] == "Value error, x"


@pytest.mark.parametrize("value", [None, "a", 5, {"a": [1]}, [], True, 1.5])
def test_small_input_is_sent_back(value: Any) -> None:
    assert items([Problem(message="x", value=value)])[0]["input"] == value


@pytest.mark.parametrize("value", ["a" * 10_000, ["a"] * 10_000, {"k": "a" * 10_000}, {str(k): k for k in range(999)}])
def test_large_input_is_not_sent_back(value: Any) -> None:
    assert len(str(items([Problem(message="x", value=value)])[0]["input"])) < 600


@pytest.mark.parametrize("error", [error for error, _ in CASES], ids=lambda error: type(error).__name__)
def test_what_time_mends_says_when_to_come_back(error: MemhostError) -> None:
    host = FakeHost()
    host.answers["search_memories"] = error
    with client_for(host) as client:
        answer = client.post("/v1/long-term-memory/search", json={})
    assert ("retry-after" in answer.headers) == error.retryable
    if error.retryable:
        assert int(answer.headers["retry-after"]) >= 1
    assert describe(error, "r")["error"].get("retry_after") == (error.retry_after_s or None)


@pytest.mark.parametrize(
    ("cause", "wait_s"), [(apsw.BusyError(""), 2), (apsw.LockedError(""), 2), (apsw.FullError(""), 60)]
)
def test_a_lock_passes_sooner_than_a_full_disk(cause: apsw.Error, wait_s: int) -> None:
    found = explain(cause)
    assert isinstance(found, errors.StoreUnavailable)
    assert found.retry_after_s == wait_s
