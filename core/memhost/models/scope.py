"""Who may see what: the scope of a call, and the identity of a session."""

from __future__ import annotations

import msgspec

from memhost.models.roles import OPERATORS
from memhost.models.trust import Trust

DEFAULT_TENANT = "default"


class SessionKey(msgspec.Struct, frozen=True, order=True):
    """Identity of a session: four exact strings; an absent namespace or user is the empty string."""

    tenant: str
    namespace: str
    user: str
    session: str


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds that a store applies inside each of its own queries.

    `tenant` always binds. For the other three, `None` does not restrict and a tuple lists the only values
    allowed, compared exactly; the empty string stands for records that have no such owner. An empty tuple
    allows nothing.
    """

    tenant: str = DEFAULT_TENANT
    namespaces: tuple[str, ...] | None = None
    users: tuple[str, ...] | None = None
    sessions: tuple[str, ...] | None = None

    @property
    def whole(self) -> bool:
        """Tell whether the scope contains everything of its tenant."""
        return self.namespaces is None and self.users is None and self.sessions is None

    def narrow(self, *, namespace: str | None = None, user: str | None = None, session: str | None = None) -> Scope:
        """The intersection of this scope and the given exact values; `None` leaves a part as it is."""
        return Scope(
            tenant=self.tenant,
            namespaces=_intersect(self.namespaces, namespace),
            users=_intersect(self.users, user),
            sessions=_intersect(self.sessions, session),
        )

    def allows(self, namespace: str | None, user: str | None, session: str | None) -> bool:
        """Tell whether a record of this tenant with that owner is inside the scope."""
        return (
            (self.namespaces is None or (namespace or "") in self.namespaces)
            and (self.users is None or (user or "") in self.users)
            and (self.sessions is None or (session or "") in self.sessions)
        )

    def covers(self, key: SessionKey) -> bool:
        """Tell whether the session with that key is inside the scope."""
        return key.tenant == self.tenant and self.allows(key.namespace, key.user, key.session)


def _intersect(allowed: tuple[str, ...] | None, value: str | None) -> tuple[str, ...] | None:
    if value is None:
        return allowed
    return (value,) if allowed is None or value in allowed else ()


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who calls, as the authentication plugin resolved it.

    `bounds` limits everything that the caller can reach; `roles` are of `memhost.models.ROLES`. `credential` is the id
    of the credential, for attribution, where the provider knows one. `channel` bounds how far what it writes is
    trusted: turns by the lower of it and their role, memories as it says (None: as an agent's).
    """

    subject: str
    bounds: Scope = Scope()
    roles: frozenset[str] = frozenset()
    credential: str = ""
    channel: Trust | None = None

    @property
    def runs_tenant(self) -> bool:
        """Tell whether the caller may administer the tenant: an operator or admin who is not bound inside it."""
        return self.bounds.whole and not self.roles.isdisjoint(OPERATORS)

    @property
    def runs_server(self) -> bool:
        """Tell whether the caller may see server-wide data: callers who administer the tenant `default` may."""
        return self.runs_tenant and self.bounds.tenant == DEFAULT_TENANT
