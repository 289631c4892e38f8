"""The running host, which interfaces and commands use."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec

from memhost.credentials import VISITOR
from memhost.errors import Forbidden, MemhostError, NotFound, Tampered, TooManyRequests, Unauthorized, Unavailable
from memhost.host.assembly import Services
from memhost.host.login_throttle import LoginThrottle
from memhost.host.readiness import component, model_component, waiting_work
from memhost.host.selection import automatic
from memhost.integrity import Keyring
from memhost.integrity.watch import TamperWatch, left_out_notice, noting_left_out
from memhost.logs import describe
from memhost.memories.review.service import decides_as
from memhost.metrics import Metrics
from memhost.models import Actor, Caller, acted_by
from memhost.models.roles import HOLDERS
from memhost.models.trust import bounded
from memhost.operations import Access, Call, Operation, OperationTable
from memhost.operations.limits import check_request
from memhost.operations.responses import MemoryHits, MemoryPrompt, PluginReport, PluginRow, Readiness
from memhost.plugins import PluginManager
from memhost.plugins.health import report_plugin
from memhost.ports import (
    Authenticator,
    Clock,
    Credentials,
    Embedder,
    LanguageModel,
    LaterStrategy,
    Reranker,
    Store,
    Strategy,
)
from memhost.secrets.requests import notice, screened
from memhost.settings import Configuration, Settings
from memhost.usage.ledger import charged_to, payer_within
from memhost.usage.model_health import Kind

logger = logging.getLogger(__name__)

S = TypeVar("S")

ROLES: Mapping[str, frozenset[str]] = {right: frozenset(roles) for right, roles in HOLDERS.items()}
"""The roles that hold each right; see `memhost.models.roles`."""


@dataclass(kw_only=True)
class Host:
    """A running server without any protocol.

    Interfaces call `authenticate` and `execute`; the rest is there for plugins that need more.

    `door` is the name of the interface that has this view of the host (`through`); where it is empty, calls tell.
    """

    configuration: Configuration
    plugins: PluginManager
    operations: OperationTable
    store: Store
    embedder: Embedder
    llm: LanguageModel | None
    reranker: Reranker | None
    authenticator: Authenticator
    attempts: LoginThrottle
    strategies: Mapping[str, Strategy | LaterStrategy]
    clock: Clock
    tampered: TamperWatch
    services: Services
    keys: Keyring | None = None
    door: str = ""

    def __post_init__(self) -> None:
        self._by_class: dict[type, Any] = {type(each): each for each in vars(self.services).values()}

    if not TYPE_CHECKING:  # for a type checker there are the new names alone

        def __getattr__(self, name: str) -> Any:
            """Services under the names that they had on the host before version 0.2; they are in `services` now."""
            if name != "services" and name in Services.__dataclass_fields__:
                message = f"Host.{name} is now Host.services.{name}; the old name works until memhost 0.3."
                warnings.warn(message, DeprecationWarning, stacklevel=2)
                return getattr(self.services, name)
            raise AttributeError(f"'Host' object has no attribute {name!r}")

    @property
    def metrics(self) -> Metrics:
        """Return the measurements that the host passes to observers; add an observer to receive them."""
        return self.services.metrics

    @property
    def settings(self) -> Settings:
        """The host's own settings."""
        return self.configuration.settings

    @property
    def runner(self) -> str:
        """Name of the job runner."""
        return automatic(self.settings.server.runner, "inline")

    @property
    def has_workers(self) -> bool:
        """Tell whether jobs run in separate processes."""
        entry = self.plugins.runners.get(self.runner)
        return entry is not None and entry.spec.separate

    def service(self, kind: type[S]) -> S:
        """Return the host's service of that class, or the host itself, for the rows of core's own operations."""
        if kind is Host:
            return cast("S", self)
        return cast("S", self._by_class[kind])

    def through(self, door: str) -> Host:
        """This host as an interface of that name sees it: its calls come through that door."""
        host = copy(self)
        host.door = door
        return host

    async def authenticate(self, credentials: Credentials) -> Caller:
        """The caller behind the credentials.

        Raises:
            Unauthorized: The provider does not let them in, for whatever reason.
            Unavailable: The provider cannot tell now.
            TooManyRequests: Too many attempts from that address have failed.
        """
        self.attempts.check(credentials)
        try:
            caller = await self.authenticator.authenticate(credentials)
        except Unauthorized:
            self.attempts.failed(credentials)
            raise
        except (Unavailable, TooManyRequests):
            raise
        except Exception as error:  # a provider that fails in an unexpected way lets nobody in
            logger.exception("auth.failed")
            raise Unauthorized("The credentials could not be checked.") from error
        self.attempts.passed(credentials)
        if (visitor := VISITOR.get()) is not None:
            visitor.known = True
        return caller

    def allows(self, caller: Caller, access: Access) -> bool:
        """Tell whether the caller has the permission that an operation needs."""
        if access == "admin":
            return caller.runs_tenant
        return access == "open" or bool(caller.roles & ROLES[access])

    def may_review(self, caller: Caller, door: str) -> bool:
        """Tell whether the caller may decide on memories that wait for a review."""
        door = self.door or door
        return decides_as(self._bound(caller, door), door) is not None

    def check_access(self, caller: Caller, access: Access) -> None:
        """Return if the caller has the right that an operation needs.

        Raises:
            Forbidden: They have not.
        """
        if not self.allows(caller, access):
            raise Forbidden(_lacking(caller, access))

    async def execute(self, name: str, call: Call, request: msgspec.Struct) -> Any:
        """Run an operation for a caller.

        Raises:
            Forbidden: The caller lacks the permission that the operation needs.
            MemhostError: What the operation raises; anything unexpected is logged and becomes code `internal`.
        """
        operation = self.operations[name]
        call.door = self.door or call.door
        call.caller = self._bound(call.caller, call.door)
        metrics, started, code = self.metrics, perf_counter(), "cancelled"
        metrics.operation_started(name)
        try:
            self.check_access(call.caller, operation.access)
            check_request(request)
            request = await self._without_secrets(operation, call, request)
            if operation.access != "open":
                await self.services.tenants.note(call.caller.bounds.tenant, self.clock.now())
            if operation.audited:
                await self.services.audit.record(call, name, str(getattr(request, operation.audited)))
            with (
                noting_left_out() as left_out,
                acted_by(_actor(call, name)),
                charged_to(payer_within(call.caller.bounds)),
            ):
                try:
                    result = await operation.handler(self, call, request)
                except NotFound as error:
                    if not left_out:
                        raise
                    raise Tampered(left_out_notice(left_out)) from error
            if left_out:
                call.notices.append(("tampered", left_out_notice(left_out)))
            code = "ok"
            if call.masked and hasattr(result, "secrets_masked"):
                result = msgspec.structs.replace(result, secrets_masked=call.masked)
            if call.held is not None and hasattr(result, "held"):
                result = msgspec.structs.replace(result, held=call.held)
            if (hits := _hits_of(result)) is not None:
                metrics.search_answered(name, hits)
            return result
        except MemhostError as error:
            code = error.code
            raise
        except (
            Exception,
            SystemExit,
        ) as error:  # a fault of ours or a plugin's: a code for the caller, the log the place
            code = MemhostError.code
            fields = {"operation": name, "request_id": call.request_id}
            if (culprit := self.plugins.culprit(error)) is not None:
                row, place = culprit
                fields |= {"plugin": row.name, "distribution": row.distribution, "version": row.version}
                fields["error"] = described = describe(error, place)
                self.services.watch.operation_broke(name, described, perf_counter() - started)
            logger.exception("operation.failed", extra={"fields": fields})
            raise MemhostError("The server failed. Search its log for the request id to find the cause.") from error
        finally:
            metrics.operation_finished(name, code, perf_counter() - started)

    async def _without_secrets(self, operation: Operation, call: Call, request: msgspec.Struct) -> msgspec.Struct:
        """The request with its secrets masked; a notice tells the caller, and the call counts them.

        Raises:
            SecretFound: The settings refuse secrets, or one is in an id.
        """
        if not request.__struct_fields__:
            return request
        writes = operation.access in ("write", "admin")
        request, findings = await screened(request, self.services.secrets, writes=writes, exact=operation.exact)
        if findings.count:
            call.masked += findings.count
            call.notices.append(notice(findings))
        return request

    def _bound(self, caller: Caller, door: str) -> Caller:
        """The caller, trusted no further than callers of that door are (`interface_trust`)."""
        channel = bounded(caller.channel, self.settings.server.interface_trust.get(door))
        return caller if channel == caller.channel else msgspec.structs.replace(caller, channel=channel)

    def models_away(self) -> dict[str, datetime]:
        """Tell since when models of each kind have not answered; kinds that answer are left out."""
        kinds: tuple[Kind, ...] = ("language_model", "embedder", "reranker")
        worst = {kind: self.services.model_health.worst(kind) for kind in kinds}
        return {kind: since for kind, found in worst.items() if found is not None and (since := found[1].away_since)}

    def quotas_used(self) -> list[tuple[str, str, int, int]]:
        """Tenant, what is counted, how much is used, and the quota, of tenants that wrote lately."""
        return [(use.tenant, use.what, use.used, use.limit) for use in self.services.quotas.known()]

    async def reviews_waiting(self) -> tuple[dict[str, int], datetime | None]:
        """Tell how many memories of all tenants wait for a review, by reason, and since when the oldest does.

        Raises:
            StoreUnavailable: The store does not answer.
        """
        tenants = await self.services.tenants.known(self.clock.now())
        found = await self.services.reviews.counts.of_tenants(tenants)
        return found.reasons, found.since

    async def waiting_since(self) -> datetime | None:
        """Tell since when the oldest waiting job has been put off, None if none waits.

        Raises:
            StoreUnavailable: The store does not answer.
        """
        return (await waiting_work(self.store)).since

    def plugin_rows(self) -> list[PluginRow]:
        """All plugins, with those that fail now as `failing`."""
        return self.services.watch.rows(self.plugins)

    async def report_plugin(self, name: str) -> PluginReport:
        """All about one plugin, as this process knows it.

        Raises:
            NotFound: There is no such plugin.
        """
        return await report_plugin(name, self.plugins, self.configuration, self.services.watch, self.store)

    async def readiness(self) -> Readiness:
        """Report whether the store answers within a second, the state of models and workers, and the waiting work.

        Without a worker or a model the server is ready all the same: writes and searches work, and jobs wait. So it is
        with records that somebody edited: they are left out, and everything else can be served.
        """
        now = self.clock.now()

        async def store() -> str:
            await self.store.ping()
            return "answers"

        async def workers() -> str:
            if alive := len(await self.services.workers.alive()):
                return f"{alive} at work"
            raise Unavailable("No worker has reported within 15 s and jobs wait; start one with: memhost worker")

        async def waiting() -> str:
            if (found := await waiting_work(self.store)).jobs:
                raise Unavailable(found.told(now))
            return "nothing waits"

        async def integrity() -> str:
            if trouble := await self.services.verifying.state.trouble():
                raise Unavailable(f"{trouble}. Show what was done with: memhost verify")
            return "nothing is known to be edited"

        components = [await component("store", store)]
        if self.has_workers:
            components.append(await component("workers", workers))
        if components[0].ok and not (sound := await component("integrity", integrity)).ok:
            components.append(sound)
        components += [await model_component(kind, self.services.model_health, now) for kind in self._models()]
        if components[0].ok and not (jobs := await component("waiting_jobs", waiting)).ok:
            components.append(jobs)
        return Readiness(ready=components[0].ok, components=components)

    def _models(self) -> list[Kind]:
        """The kinds of models that may be away."""
        found: list[tuple[Kind, bool]] = [
            ("language_model", self.llm is not None),
            ("embedder", not self.embedder.local),
            ("reranker", self.reranker is not None),
        ]
        return [kind for kind, used in found if used]


def _actor(call: Call, operation: str) -> Actor:
    caller = call.caller
    return Actor(caller.subject, caller.credential, call.door, operation, call.request_id)


def _lacking(caller: Caller, access: Access) -> str:
    if access == "admin" and caller.roles & ROLES[access]:
        return "Administrative operations concern the whole tenant, but this credential is bound to a part of it."
    if access == "admin":
        return "This credential lacks the permission to administer; it needs the role operator or admin."
    return f"This credential lacks the {access} permission."


def _hits_of(result: Any) -> int | None:
    """Return the number of hits in an answer, None if it is not the answer to a search."""
    if isinstance(result, MemoryHits):
        return len(result.memories)
    return len(result.long_term_memories or ()) if isinstance(result, MemoryPrompt) else None
