"""Quotas: how much a user, a namespace and a tenant may keep."""

from __future__ import annotations

from typing import Annotated

import msgspec

from memhost.settings.fields import setting

_GIB = 1024**3

DEFAULTS = {
    "quota_user_memories": 500_000,
    "quota_user_sessions": 100_000,
    "quota_user_bytes": 4 * _GIB,
    "quota_namespace_memories": 5_000_000,
    "quota_namespace_sessions": 1_000_000,
    "quota_namespace_bytes": 40 * _GIB,
    "quota_tenant_memories": 10_000_000,
    "quota_tenant_sessions": 2_000_000,
    "quota_tenant_bytes": 100 * _GIB,
}
"""Quotas where nothing else is set and strangers may call."""


def _quota(name: str, what: str) -> msgspec.Meta:
    default = f"The default is {DEFAULTS[name]}; on a server without authentication on loopback it is 0."
    return setting(f"{what} 0: no limit. {default}", ge=0)


class QuotaSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Most that is kept of what clients write. Who is over a quota can read and delete, and write nothing new."""

    quota_user_memories: (
        Annotated[int, _quota("quota_user_memories", "Long-term memories of a user, turns included.")] | None
    ) = None
    quota_user_sessions: Annotated[int, _quota("quota_user_sessions", "Sessions of a user.")] | None = None
    quota_user_bytes: (
        Annotated[int, _quota("quota_user_bytes", "Bytes that the store keeps of a user, where it can measure them.")]
        | None
    ) = None
    quota_namespace_memories: (
        Annotated[int, _quota("quota_namespace_memories", "Long-term memories of a namespace.")] | None
    ) = None
    quota_namespace_sessions: Annotated[int, _quota("quota_namespace_sessions", "Sessions of a namespace.")] | None = (
        None
    )
    quota_namespace_bytes: (
        Annotated[
            int,
            _quota("quota_namespace_bytes", "Bytes that the store keeps of a namespace, where it can measure them."),
        ]
        | None
    ) = None
    quota_tenant_memories: Annotated[int, _quota("quota_tenant_memories", "Long-term memories of a tenant.")] | None = (
        None
    )
    quota_tenant_sessions: Annotated[int, _quota("quota_tenant_sessions", "Sessions of a tenant.")] | None = None
    quota_tenant_bytes: (
        Annotated[
            int, _quota("quota_tenant_bytes", "Bytes that the store keeps of a tenant, where it can measure them.")
        ]
        | None
    ) = None
