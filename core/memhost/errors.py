"""The one tree of errors.

Every error has a stable `code` and a sentence that says what happened and what to do. No protocol lives
here: an interface maps codes to its own statuses. `retryable` says whether the same call may succeed later.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

import msgspec

_DAY_S = 86_400.0
_MOST_NAMED = 20


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong with a request.

    `where` is the path of field names and list indices inside the request; empty for the request as a whole.
    `kind` is a word of the pydantic vocabulary that clients of Agent Memory Server know (`missing`,
    `string_type`, `value_error`, ...).
    """

    where: tuple[str | int, ...] = ()
    kind: str = "value_error"
    message: str
    value: Any = None
    context: dict[str, Any] | None = None


class MemhostError(Exception):
    """Base of all errors that memhost raises on purpose.

    Attributes:
        code: Stable name.
        retryable: Whether the same call may succeed later.
        retry_after_s: Whole seconds to wait before it is worth trying; 0 where time alone mends nothing.
    """

    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False
    retry_after_s: int = 0

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidRequest(MemhostError):
    """A well-formed request that asks for something that cannot be: the sentence says what to change."""

    code = "invalid_request"


class Unsupported(InvalidRequest):
    """The store, or another part that was chosen, does not offer that; the sentence says which do."""

    code = "unsupported"


class ValidationFailed(InvalidRequest):
    """A request whose fields are wrong; `problems` lists all of them."""

    code = "invalid_arguments"

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(_describe(problem) for problem in problems))
        self.problems = tuple(problems)


class UnsafePrompt(ValidationFailed):
    """A custom prompt that may not be used; the context of each problem has the `rule` and the `position`."""

    code = "unsafe_prompt"


class SecretFound(ValidationFailed):
    """A request with secrets where none may be; each problem names a place and a kind, never the secret."""

    code = "secret_found"


def _describe(problem: Problem) -> str:
    where = ".".join(str(part) for part in problem.where)
    return f"{where}: {problem.message}" if where else problem.message


class TooLarge(InvalidRequest):
    """A request over a configured limit."""

    code = "too_large"


class ScopeRequired(InvalidRequest):
    """A call that names neither user nor namespace, where the operator asks for one."""

    code = "scope_required"


class LongTermMemoryDisabled(InvalidRequest):
    """Long-term memory is switched off in the settings."""

    code = "long_term_memory_disabled"


class NotFound(MemhostError):
    """Nothing of that name in the caller's scope."""

    code = "not_found"


class UnknownTask(NotFound):
    """There is no maintenance task of that name; the message names near ones."""


class SeveralFound(NotFound):
    """Several sessions answer to the identity given, where one is to be read."""


class Conflict(MemhostError):
    """The change conflicts with the stored state."""

    code = "conflict"


class Busy(Conflict):
    """Another process is doing the work, for at most `wait_s` seconds (0 to a day) unless it prolongs that.

    A background hook that raises this, or anything else that passes by itself (`passes`), is put off: its job waits
    without having used a try.
    """

    retryable = True

    def __init__(self, message: str, *, wait_s: float = 10.0) -> None:
        super().__init__(message)
        self.wait_s = min(max(0.0, wait_s), _DAY_S)
        self.retry_after_s = max(1, math.ceil(self.wait_s))


class SessionChanged(Conflict):
    """The session is not at the version that the request expects; read it again."""


class AmbiguousSession(Conflict):
    """Several sessions answer to the identity given."""

    code = "ambiguous_session"


class LimitReached(Conflict):
    """As many of something are stored as may be; the sentence names the limit."""

    code = "limit_reached"


class QuotaExceeded(LimitReached):
    """The write would exceed a quota; nothing was changed."""

    code = "quota_exceeded"


class IdTaken(Conflict):
    """Memory ids that belong to another namespace, user or session.

    Attributes:
        ids: These ids; their memories were not stored.
        stored: Number of the request's other memories, which were stored.
    """

    code = "id_taken"

    def __init__(self, ids: Sequence[str], stored: int = 0) -> None:
        rest = f". The other {stored} of the request were stored" if stored else ""
        super().__init__(f"Another owner already uses these memory ids; send other ids, or none: {_named(ids)}{rest}")
        self.ids = tuple(ids)
        self.stored = stored


def _named(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - _MOST_NAMED} more" if len(ids) > _MOST_NAMED else ""
    return ", ".join(sorted(ids)[:_MOST_NAMED]) + more


class ReviewLimitReached(LimitReached):
    """As many memories of the owner wait for a review as may.

    Attributes:
        ids: Ids of the memories that were not kept.
        stored: Number of the request's other memories, which were stored or wait.
    """

    code = "review_limit_reached"

    def __init__(self, ids: Sequence[str], limit: int, stored: int = 0, taken: Sequence[str] = ()) -> None:
        """Make the sentence.

        Args:
            ids: Ids of the memories that were not kept.
            limit: How many may wait.
            stored: Number of the request's other memories, which were stored or wait.
            taken: Ids of memories that were not stored because another owner uses them.
        """
        rest = f" The other {stored} of the request were stored." if stored else ""
        rest += f" Another owner already uses these memory ids: {_named(taken)}." if taken else ""
        super().__init__(
            f"These memories need a review and were not kept, because {limit:,} of their owner wait already: "
            f"{_named(ids)}. Decide on what waits (memhost review list, GET /v1/memory-reviews), or raise "
            f"REVIEW_LIMIT.{rest}"
        )
        self.ids = tuple(ids)
        self.stored = stored


class VersionMismatch(Conflict):
    """The session changed between reading and writing; read it again and repeat."""

    code = "version_mismatch"
    retryable = True
    retry_after_s = 1


class MemoryChanged(Conflict):
    """A memory is not at the version, or has not the content, that the request expects. Read it again.

    Attributes:
        ids: Ids of such memories.
    """

    code = "memory_changed"

    def __init__(self, ids: Sequence[str], versions: Mapping[str, int] | None = None) -> None:
        """Make the sentence.

        Args:
            ids: Ids of such memories.
            versions: The versions that they are at, where that is known; 0: there is none.
        """
        told = [_at_version(name, (versions or {}).get(name)) for name in sorted(ids)[:5]]
        more = f"; so are {len(ids) - len(told)} more" if len(ids) > len(told) else ""
        super().__init__(f"{'; '.join(told)}{more}: not what the request expects. Nothing was changed; read again.")
        self.ids = tuple(ids)


def _at_version(name: str, version: int | None) -> str:
    if version is None:
        return f"Memory {name} was changed"
    return f"Memory {name} is at version {version}" if version else f"There is no memory {name} (version 0)"


class Tampered(MemhostError):
    """Something stored is not what the server wrote, and is not served. `memhost verify` tells what was done to it."""

    code = "tampered"


class DocumentGone(Conflict):
    """A document that a batch requires no longer exists; nothing was applied."""

    code = "document_gone"


class LeaseLost(Conflict):
    """A job's lease ran out or the job was already completed; its effects are not applied."""

    code = "lease_lost"


class Unauthorized(MemhostError):
    """No credential, or one that is not valid. `challenge` asks the client to send one."""

    code = "unauthorized"

    def __init__(self, message: str, *, challenge: bool = False) -> None:
        super().__init__(message)
        self.challenge = challenge


class Forbidden(MemhostError):
    """A valid credential without the right that the call needs."""

    code = "forbidden"


class TooManyRequests(MemhostError):
    """Over a limit of rate."""

    code = "rate_limited"
    retryable = True

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Refused(InvalidRequest):
    """A plugin's hook refused the request; the message names the plugin."""

    code = "refused"


class Unavailable(MemhostError):
    """Something the call needs is down; nothing was changed."""

    code = "unavailable"
    retryable = True
    retry_after_s = 5


class StoreUnavailable(Unavailable):
    """The store does not answer. With a `retry_after_s` of more than seconds an operator has to act first."""

    code = "store_unavailable"

    def __init__(self, message: str, *, retry_after_s: int = 2) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ModelUnavailable(Unavailable):
    """The embedder or language model does not answer."""

    code = "model_unavailable"
    retry_after_s = 10


class RequestRejected(ModelUnavailable):
    """The provider answers, and does not take the request as it is: its form, or something in its content."""

    retryable = False
    retry_after_s = 0


class BudgetExceeded(Unavailable):
    """A budget for model calls is used up; `resets_at` says when the next begins."""

    code = "budget_exceeded"

    def __init__(self, message: str, *, resets_at: datetime) -> None:
        super().__init__(message)
        self.resets_at = resets_at
        self.retry_after_s = max(1, math.ceil((resets_at - datetime.now(UTC)).total_seconds()))


class ModelRefused(MemhostError):
    """The provider or the model declines the content; asking again changes nothing."""

    code = "model_refused"


class AnswerUnusable(Unavailable):
    """The model's answer could not be read, also after it was asked to mend it.

    Attributes:
        max_tries: Most attempts of a job that fails with this: each has asked the model twice.
    """

    code = "answer_unusable"
    max_tries = 2


def passes(error: BaseException) -> bool:
    """Tell whether the failure passes by itself, without a change, so that its work only has to wait.

    These are the `retryable` errors: another process holds a lock, or a needed part is away. An unreadable answer is an
    answer, and counts as a failure.
    """
    return isinstance(error, MemhostError) and error.retryable and not isinstance(error, AnswerUnusable)


class ConfigurationError(MemhostError):
    """The server cannot start as configured; `problems` lists every cause, a sentence each."""

    code = "configuration"

    def __init__(self, problems: Sequence[str] | str) -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("; ".join(self.problems))


class OperationUnusable(ConfigurationError):
    """An interface cannot offer an operation that a plugin adds; `operation` is its name."""

    def __init__(self, problem: str, operation: str) -> None:
        super().__init__(problem)
        self.operation = operation


class MissingExtra(ConfigurationError):
    """A plugin was selected whose optional dependency is not installed."""

    code = "missing_extra"

    def __init__(self, plugin: str, extra: str) -> None:
        from memhost.text.hints import install

        super().__init__(f"{plugin} needs an optional dependency. Install it with: {install(extra)}")


class StoreMismatch(ConfigurationError):
    """A store was written by a newer version, or with vectors of another embedder."""

    code = "store_mismatch"


class PluginFailure(MemhostError):
    """A plugin raised, hung or returned nonsense; the message names the plugin and its distribution."""

    code = "plugin_failure"
