"""Which verb and path calls which operation, and where each of its fields comes from.

To give an operation a path of its own, add a route. A field named in braces in the path comes from the path. A route
with a body names in `query` the fields that come from the query string, and takes every other field from the body.
Without a body all fields that are not in the path are query parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import unquote

import msgspec

from memhost.operations import Operation
from memhost.operations.ams_compat import IGNORED_PARAMETERS, wrapped_group

T = TypeVar("T")

BodyUse = Literal["none", "required", "optional"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One route.

    Attributes:
        verb: HTTP method.
        path: Path as clients spell it; the other spelling of the final slash is served as well.
        operation: Name of the operation.
        query: Of a route with a body, the fields that are query parameters; `query_of` has those of every route. A
            repeated key gives a list field all its values, and any other field the last one, or a refusal where
            unknown names are refused.
        body: Whether the fields that are left come from a JSON body, and whether it may be left
            out. A field is read from its own place only, and ignored in the others.
        blank_is_absent: Query parameters for which an empty value means not given.
        rewrite: Brings a JSON object that some client sends in another form into the form of the
            operation, before it is read.
        status: Status of a successful answer, if it is not always 200.
        statuses: Those other statuses, with what they mean, for documentation.
        strict: Refuse unknown names, whatever the settings say and whoever the operation is for.
    """

    verb: str
    path: str
    operation: str
    query: tuple[str, ...] = ()
    body: BodyUse = "none"
    blank_is_absent: tuple[str, ...] = ("namespace", "user_id", "session_id")
    rewrite: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    status: Callable[[Any], int] | None = None
    statuses: Mapping[int, str] = field(default_factory=dict)
    strict: bool = False

    @property
    def segments(self) -> tuple[str, ...]:
        """Parts of the path without the final slash."""
        return tuple(self.path.strip("/").split("/"))

    @property
    def parameters(self) -> tuple[str, ...]:
        """Fields that are parts of the path."""
        return tuple(part[1:-1] for part in self.segments if part.startswith("{"))

    def query_of(self, request: type[msgspec.Struct]) -> tuple[str, ...]:
        """Fields of the operation's request that are query parameters, by their names in JSON."""
        if self.body != "none":
            return self.query
        return tuple(name for name in request.__struct_encode_fields__ if name not in self.parameters)


PREFIX = "/v1"
BY_NAME = f"{PREFIX}/operations"
"""Under it every operation is served by its name; see `by_name`."""

ROUTES: tuple[Route, ...] = (
    Route(verb="GET", path="/v1/health", operation="health"),
    Route(
        verb="GET",
        path="/v1/ready",
        operation="ready",
        status=lambda readiness: 200 if readiness.ready else 503,
        statuses={503: "Some part of the server cannot serve."},
    ),
    Route(verb="GET", path="/v1/working-memory/", operation="list_sessions"),
    Route(verb="GET", path="/v1/working-memory/{session_id}", operation="get_session"),
    Route(
        verb="PUT",
        path="/v1/working-memory/{session_id}",
        operation="put_session",
        query=("model_name", "context_window_max", "flush", "wait_summary"),
        body="required",
    ),
    Route(
        verb="PATCH",
        path="/v1/working-memory/{session_id}",
        operation="change_session",
        query=("model_name", "context_window_max"),
        body="required",
    ),
    Route(verb="DELETE", path="/v1/working-memory/{session_id}", operation="delete_session"),
    Route(verb="POST", path="/v1/working-memory/{session_id}/extract", operation="extract_session"),
    Route(verb="GET", path="/v1/working-memory/{session_id}/extraction", operation="session_extraction"),
    Route(verb="POST", path="/v1/extraction/preview", operation="preview_extraction", body="required"),
    Route(verb="POST", path="/v1/long-term-memory/", operation="create_memories", body="required"),
    Route(verb="POST", path="/v1/long-term-memory/store", operation="store_memories", body="required"),
    Route(
        verb="POST",
        path="/v1/long-term-memory/search",
        operation="search_memories",
        query=("optimize_query",),
        body="required",
    ),
    Route(verb="GET", path="/v1/long-term-memory/{memory_id}", operation="get_memory"),
    Route(verb="GET", path="/v1/long-term-memory/{memory_id}/chain", operation="explain_memory"),
    Route(
        verb="PATCH",
        path="/v1/long-term-memory/{memory_id}",
        operation="edit_memory",
        body="required",
    ),
    Route(verb="GET", path="/v1/long-term-memory/{memory_id}/versions", operation="list_memory_versions"),
    Route(verb="GET", path="/v1/long-term-memory/{memory_id}/versions/{version}", operation="get_memory_version"),
    Route(
        verb="GET",
        path="/v1/long-term-memory/{memory_id}/versions/{version}/differences",
        operation="compare_memory_versions",
    ),
    Route(
        verb="POST",
        path="/v1/long-term-memory/{memory_id}/versions/{version}/restore",
        operation="restore_memory_version",
    ),
    Route(verb="DELETE", path="/v1/long-term-memory/{memory_id}/versions/{version}", operation="redact_memory_version"),
    Route(verb="DELETE", path="/v1/long-term-memory", operation="delete_memories"),
    Route(
        verb="POST",
        path="/v1/long-term-memory/forget",
        operation="forget_memories",
        query=("namespace", "user_id", "session_id", "limit", "dry_run"),
        body="required",
    ),
    Route(verb="POST", path="/v1/long-term-memory/compact", operation="compact_memories"),
    Route(verb="POST", path="/v1/long-term-memory/rebuild", operation="rebuild_memories"),
    Route(verb="GET", path="/v1/long-term-memory/trash", operation="list_trash"),
    Route(verb="POST", path="/v1/long-term-memory/restore", operation="restore_memories", body="required"),
    Route(verb="GET", path="/v1/memory-reviews", operation="list_reviews"),
    Route(verb="GET", path="/v1/memory-reviews/{memory_id}", operation="get_review"),
    Route(verb="POST", path="/v1/memory-reviews/approve", operation="approve_reviews", body="required"),
    Route(verb="POST", path="/v1/memory-reviews/{memory_id}/correct", operation="correct_review", body="required"),
    Route(verb="POST", path="/v1/memory-reviews/refuse", operation="refuse_reviews", body="required"),
    Route(
        verb="POST",
        path="/v1/memory/prompt",
        operation="memory_prompt",
        query=("optimize_query",),
        body="required",
    ),
    Route(verb="POST", path="/v1/context", operation="get_context", body="required"),
    Route(verb="POST", path="/v1/prompts/validate", operation="validate_prompt", body="required"),
    Route(verb="POST", path="/v1/summary-views", operation="create_summary_view", body="required"),
    Route(verb="GET", path="/v1/summary-views", operation="list_summary_views"),
    Route(verb="GET", path="/v1/summary-views/{view_id}", operation="get_summary_view"),
    Route(verb="PATCH", path="/v1/summary-views/{view_id}", operation="update_summary_view", body="required"),
    Route(verb="DELETE", path="/v1/summary-views/{view_id}", operation="delete_summary_view"),
    Route(
        verb="POST",
        path="/v1/summary-views/{view_id}/partitions/run",
        operation="run_summary_view_partition",
        body="required",
        rewrite=wrapped_group,
    ),
    Route(verb="GET", path="/v1/summary-views/{view_id}/partitions", operation="list_summary_view_partitions"),
    Route(
        verb="POST",
        path="/v1/summary-views/{view_id}/run",
        operation="run_summary_view",
        body="optional",
    ),
    Route(verb="GET", path="/v1/tasks/{task_id}", operation="get_task"),
    Route(verb="GET", path="/v1/plugins", operation="list_plugins"),
    Route(verb="GET", path="/v1/plugins/{name}", operation="get_plugin"),
    Route(verb="GET", path="/v1/usage", operation="get_usage"),
    Route(verb="GET", path="/v1/users/{user_id}/profile", operation="get_profile"),
    Route(verb="GET", path="/v1/users/{user_id}/export", operation="export_user", blank_is_absent=()),
    Route(
        verb="DELETE",
        path="/v1/users/{user_id}",
        operation="delete_user",
        blank_is_absent=(),  # an empty variable in a script must not widen what is erased
    ),
    Route(verb="POST", path="/v1/certificates/check", operation="check_certificate", body="required"),
    Route(verb="GET", path="/v1/changes", operation="list_changes"),
    Route(verb="POST", path="/v1/verify", operation="verify_store"),
    Route(verb="GET", path="/v1/jobs", operation="list_jobs"),
    Route(verb="POST", path="/v1/jobs/{job_id}/retry", operation="retry_job"),
    Route(verb="DELETE", path="/v1/jobs/{job_id}", operation="discard_job"),
)


def is_strict(operation: Operation) -> bool:
    """Tell whether unknown names in a request are refused whatever the settings say."""
    return operation.name not in IGNORED_PARAMETERS or operation.access in ("delete", "admin")


def route_of(operation: Operation) -> Route:
    """Return the route of an operation by its name: all its fields are in the body."""
    return Route(
        verb="POST", path=f"{BY_NAME}/{operation.name}", operation=operation.name, body="optional", strict=True
    )


@dataclass(slots=True)
class _Node(Generic[T]):
    words: dict[str, _Node[T]] = field(default_factory=dict)
    parameter: _Node[T] | None = None
    targets: dict[str, T] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Match(Generic[T]):
    """The result of matching a path.

    Attributes:
        target: The answer for the verb, or None if no route of that path has it.
        values: Raw segments of the parameters, in order.
        allow: Verbs of the path; empty if there is no such path. Beside a target, those of a fixed word in the place of
            a parameter of the target: `POST` for `GET /v1/long-term-memory/search`.
    """

    target: T | None
    values: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()


class Router(Generic[T]):
    """Finds routes by raw path.

    Fixed words win over parameters, verb by verb: `GET /v1/long-term-memory/search` is the by-id route, since the word
    itself has only POST. Segments are taken as they are on the wire, so that an encoded slash stays inside its segment.
    """

    def __init__(self, targets: Sequence[tuple[Route, T]]) -> None:
        self._root: _Node[T] = _Node()
        for route, target in targets:
            node = self._root
            for part in route.segments:
                if part.startswith("{"):
                    node.parameter = node.parameter or _Node()
                    node = node.parameter
                else:
                    node = node.words.setdefault(part, _Node())
            if route.verb in node.targets:
                raise ValueError(f"Two routes are {route.verb} {route.path}.")
            node.targets[route.verb] = target
        fixed = [(route.verb, f"/{'/'.join(route.segments)}") for route, _ in targets if not route.parameters]
        self._fixed = {key: self._sought(*key) for key in fixed}

    def find(self, verb: str, path: str) -> Match[T]:
        """The route of a raw path (no query); one slash at its end makes no difference."""
        return self._fixed.get((verb, path)) or self._sought(verb, path)

    def _sought(self, verb: str, path: str) -> Match[T]:
        parts = path.split("/")[1:]
        if len(parts) > 1 and not parts[-1]:
            parts.pop()
        allow: dict[str, None] = {}
        for node, values in self._nodes(self._root, parts, 0, ()):
            target = node.targets.get(verb)
            if target is not None:
                return Match(target, values, tuple(sorted(allow)))
            allow.update(dict.fromkeys(node.targets))
        return Match(None, (), tuple(sorted(allow)))

    def _nodes(
        self, node: _Node[T], parts: list[str], at: int, values: tuple[str, ...]
    ) -> Iterator[tuple[_Node[T], tuple[str, ...]]]:
        if at == len(parts):
            yield node, values
            return
        part = parts[at]
        word = node.words.get(unquote(part) if "%" in part else part)
        if word is not None:
            yield from self._nodes(word, parts, at + 1, values)
        if node.parameter is not None and part:
            yield from self._nodes(node.parameter, parts, at + 1, (*values, part))
