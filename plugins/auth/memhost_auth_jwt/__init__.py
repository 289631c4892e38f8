"""Authentication provider `jwt`: access tokens of an OpenID Connect issuer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated

import msgspec

from memhost import hookimpl
from memhost.models import Role
from memhost.settings import setting
from memhost.specs import AuthSpec, OpenContext

if TYPE_CHECKING:
    from memhost_auth_jwt.provider import JwtAuthenticator


class JwtSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whose tokens are taken, and what their claims mean. Claims may be paths: `realm_access.roles`."""

    issuer: Annotated[
        tuple[str, ...],
        setting(
            "Address of the issuer, exactly as in the claim iss; several are possible.", env=("OAUTH2_ISSUER_URL",)
        ),
    ]
    audience: Annotated[
        tuple[str, ...],
        setting(
            "A token must name one of these audiences: the issuer's names for this server.",
            env=("OAUTH2_AUDIENCE",),
        ),
    ] = ()
    any_audience: Annotated[
        bool,
        setting("Accept tokens that the issuer made for any application; required if no audience is set."),
    ] = False
    jwks_url: Annotated[
        str | None,
        setting("Address of the issuer's keys, where its discovery document does not tell.", env=("OAUTH2_JWKS_URL",)),
    ] = None
    algorithms: Annotated[
        tuple[str, ...], setting("Signature algorithms allowed; none of them symmetric.", env=("OAUTH2_ALGORITHMS",))
    ] = ("RS256",)
    leeway_s: Annotated[float, setting("How far clocks may differ, seconds.", ge=0, le=300)] = 60.0
    claim_user: Annotated[
        str | None,
        setting(
            "Claim with the user whose memories the caller reaches; none does not bind to a user.",
            env=("AUTH_CLAIM_USER",),
        ),
    ] = "sub"
    claim_namespaces: Annotated[
        str | None,
        setting("Claim with the namespaces that the caller reaches; none reaches all.", env=("AUTH_CLAIM_NAMESPACES",)),
    ] = None
    claim_tenant: Annotated[
        str | None, setting("Claim with the caller's tenant; none is the tenant default.", env=("AUTH_CLAIM_TENANT",))
    ] = None
    claim_roles: Annotated[
        tuple[str, ...],
        setting(
            "Claims with roles: the words memhost:reader, :writer, :operator, :admin. Such words in the claim scope, "
            "which a client asks for itself, only narrow the role, unless scope is named here.",
            env=("AUTH_CLAIM_ROLES",),
        ),
    ] = ("roles",)
    role_names: Annotated[
        dict[str, Role], setting("Additional claim values, each mapped to a role.", env=("AUTH_ROLE_NAMES",))
    ] = {}
    claim_channel: Annotated[
        str | None,
        setting(
            "Claim that says how far what the caller writes is trusted: operator, user, assistant, agent, import, "
            "tool or external; none goes by role, and trusts memories as an agent's.",
            env=("AUTH_CLAIM_CHANNEL",),
        ),
    ] = None
    channel_grants: Annotated[
        bool,
        setting(
            "Whether that claim may also raise the trust in memories above an agent's: if the issuer, and no user or "
            "client, decides what it says.",
            env=("AUTH_CHANNEL_GRANTS",),
        ),
    ] = False
    default_role: Annotated[
        Role | None,
        setting("Role of callers whose token names none; none lets them do nothing.", env=("AUTH_DEFAULT_ROLE",)),
    ] = "writer"


@asynccontextmanager
async def open_jwt(settings: JwtSettings, context: OpenContext) -> AsyncIterator[JwtAuthenticator]:
    """Open the provider; the issuer is asked when the first token comes.

    Raises:
        MissingExtra: PyJWT is not installed.
        ConfigurationError: A setting cannot work or is not safe.
    """
    from memhost_auth_jwt.provider import open_provider

    async with open_provider(settings, context.clock) as provider:
        yield provider


@hookimpl
def memhost_auth_providers() -> Sequence[AuthSpec]:
    """Offer `jwt`."""
    return [
        AuthSpec(
            name="jwt",
            summary="JSON Web Tokens of an OpenID Connect issuer.",
            open=open_jwt,
            settings=JwtSettings,
        )
    ]
