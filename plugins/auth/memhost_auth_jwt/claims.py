"""From the claims of a verified token to the caller."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from memhost.errors import Unauthorized
from memhost.models import DEFAULT_TENANT, ROLES, TRUSTS, Caller, Scope, Trust
from memhost.models.trust import bounded

if TYPE_CHECKING:
    from memhost_auth_jwt import JwtSettings

_SCOPE = "scope"
_PREFIX = "memhost:"


class ClaimReader:
    """Makes callers of claims, as the settings say. A claim that bounds the caller must be there."""

    def __init__(self, settings: JwtSettings) -> None:
        self._settings = settings
        self._roles = {**{_PREFIX + role: role for role in ROLES}, **settings.role_names}

    def caller(self, claims: Mapping[str, Any]) -> Caller:
        """The caller; administrators are bound to tenant and namespaces, but to no user.

        Raises:
            Unauthorized: A claim that the settings name is missing or of another form.
        """
        settings = self._settings
        roles = self._roles_of(claims)
        bound = settings.claim_user is not None and "admin" not in roles
        return Caller(
            subject=str(claims["sub"]),
            bounds=Scope(
                tenant=_text(claims, settings.claim_tenant) if settings.claim_tenant else DEFAULT_TENANT,
                namespaces=_texts(claims, settings.claim_namespaces) if settings.claim_namespaces else None,
                users=(_text(claims, settings.claim_user),) if bound and settings.claim_user else None,
            ),
            roles=roles,
            channel=self._channel(claims, settings.claim_channel) if settings.claim_channel else None,
        )

    def _channel(self, claims: Mapping[str, Any], name: str) -> Trust | None:
        value = _text(claims, name)
        if value not in TRUSTS:
            raise Unauthorized(f"Invalid JWT: its claim {name} must be one of {', '.join(TRUSTS)}.")
        return value if self._settings.channel_grants else bounded(None, value)

    def _roles_of(self, claims: Mapping[str, Any]) -> frozenset[str]:
        settings = self._settings
        found = frozenset(role for name in settings.claim_roles for role in self._named(claims, name))
        if not found and settings.default_role is not None:
            found = frozenset({settings.default_role})
        if _SCOPE in settings.claim_roles:
            return found
        # What a client asked for is no right of its own: it can only ask for less.
        asked = self._named(claims, _SCOPE)
        if not asked or not found:
            return found
        most = max(map(ROLES.index, asked))
        return frozenset(ROLES[min(most, ROLES.index(role))] for role in found)

    def _named(self, claims: Mapping[str, Any], name: str) -> list[str]:
        return [self._roles[word] for word in _words(find(claims, name)) if word in self._roles]


def find(claims: Mapping[str, Any], name: str) -> Any:
    """A claim by its name, or by the path of names to it; None if there is none."""
    if name in claims:
        return claims[name]
    value: Any = claims
    for part in name.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


def _words(value: Any) -> list[str]:
    if isinstance(value, str):
        return value.split()
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = find(claims, name)
    if not isinstance(value, str) or not value:
        raise Unauthorized(f"Invalid JWT: its claim {name} must be a non-empty string.")
    return value


def _texts(claims: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = find(claims, name)
    if isinstance(value, str) and value:
        return (value,)
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise Unauthorized(f"Invalid JWT: its claim {name} must be a non-empty string or a list of non-empty strings.")
    return tuple(value)
