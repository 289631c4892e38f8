"""Tokens of a tenant as operations: an admin lists, creates, rotates and revokes them in a running server."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta

from memhost.errors import Forbidden, NotFound
from memhost.models import Role, Trust
from memhost.models.limits import Name
from memhost.models.trust import rank
from memhost.operations import Call, Operation
from memhost_auth_token.keys import load_hasher
from memhost_auth_token.token_store import Token, TokenStore

if TYPE_CHECKING:
    from memhost.ports import Host

TAG = "Administration"

_Days = Annotated[float, Meta(gt=0, le=36_500)]
_Some = Annotated[list[Name], Meta(min_length=1, max_length=100)]


class ListTokens(msgspec.Struct, kw_only=True):
    """Which tokens to list, oldest first."""

    limit: Annotated[int, Meta(ge=1, le=500, description="Most tokens to return.", examples=[100])] = 100
    offset: Annotated[int, Meta(ge=0, description="Tokens to skip.", examples=[0])] = 0


class CreateToken(msgspec.Struct, kw_only=True):
    """Permissions and bounds of the new token."""

    description: Annotated[
        str, Meta(max_length=500, description="What the token is for.", examples=["Nightly import"])
    ] = ""
    role: Annotated[Role, Meta(description="What it may do.", examples=["writer"])] = "writer"
    namespaces: Annotated[
        _Some | None,
        Meta(description="The only namespaces that it reaches; absent: all.", examples=[["travel"]]),
    ] = None
    users: Annotated[
        _Some | None, Meta(description="The only users whose memories it reaches; absent: all.", examples=[["ana"]])
    ] = None
    expires_days: Annotated[
        _Days | None, Meta(description="Days until it expires; absent: it does not.", examples=[90])
    ] = None
    channel: Annotated[
        Trust | None,
        Meta(
            description="How far what it writes is trusted, at most: turns by the lower of it and their role, memories "
            "as it says; absent: by role, and memories as an agent's. No further than the caller is.",
            examples=["tool"],
        ),
    ] = None


class TokenId(msgspec.Struct, kw_only=True):
    """Which token."""

    token_id: Annotated[str, Meta(description="Id of the token.", examples=["k7Qm2xVb"])]


class RotateToken(TokenId, kw_only=True):
    """Which token gets a new secret."""

    expires_days: Annotated[
        _Days | None, Meta(description="Days until it expires; absent: as before.", examples=[90])
    ] = None


class TokenView(msgspec.Struct, frozen=True, kw_only=True):
    """A token without its secret."""

    id: Annotated[str, Meta(description="Id of the token.")]
    description: Annotated[str, Meta(description="What the token is for.")]
    role: Annotated[str, Meta(description="What it may do: `reader`, `writer`, `operator` or `admin`.")]
    tenant: Annotated[str, Meta(description="Tenant that it belongs to.")]
    namespaces: Annotated[tuple[str, ...] | None, Meta(description="The only namespaces that it reaches; null: all.")]
    users: Annotated[tuple[str, ...] | None, Meta(description="The only users whose memories it reaches; null: all.")]
    created_at: Annotated[datetime, Meta(description="When it was made.")]
    expires_at: Annotated[datetime | None, Meta(description="When it expires; null: it does not.")]
    last_used_at: Annotated[datetime | None, Meta(description="When it was last used, if it ever was.")]
    channel: Annotated[
        Trust | None,
        Meta(description="How far what it writes is trusted, at most; null: by role, and memories as an agent's."),
    ]
    status: Annotated[Literal["active", "expired"], Meta(description="Whether it can be used.")]


class TokenList(msgspec.Struct, frozen=True, kw_only=True):
    """A page of tokens."""

    tokens: Annotated[list[TokenView], Meta(description="The tokens on this page, oldest first.")]
    total: Annotated[int, Meta(description="Number of all tokens of the tenant.")]


class NewToken(TokenView, frozen=True, kw_only=True):
    """A token with its secret."""

    token: Annotated[str, Meta(description="The token itself; it is not shown again.")]


class Revoked(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens that are gone."""

    revoked: Annotated[list[str], Meta(description="Ids of the tokens.")]


def describe(token: Token, now: datetime, last_used_at: datetime | None = None) -> dict[str, Any]:
    """Return the public fields of a token, as those of `TokenView`."""
    return {
        "id": token.id,
        "description": token.description,
        "role": token.role,
        "tenant": token.tenant,
        "namespaces": token.namespaces,
        "users": token.users,
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "last_used_at": last_used_at,
        "channel": token.channel,
        "status": "expired" if token.expired(now) else "active",
    }


def _book(host: Host, call: Call) -> TokenStore:
    if "admin" not in call.caller.roles:
        raise Forbidden("Tokens are managed by the role admin.")
    return TokenStore(host.store, host.clock)


def _expiry(host: Host, days: float | None) -> datetime | None:
    return None if days is None else host.clock.now() + timedelta(days=days)


async def _hasher(host: Host, book: TokenStore) -> Any:
    settings: Any = host.configuration.section("auth", "token")
    hasher = load_hasher(settings.key, host.configuration.data_dir)
    await book.check_key(hasher)
    return hasher


async def _own(book: TokenStore, call: Call, token_id: str) -> Token:
    """The token of that id, if it is one of the caller's tenant."""
    found = await book.find(token_id)
    if found is None or found.tenant != call.caller.bounds.tenant:
        raise NotFound(f"There is no token {token_id}.")
    return found


async def _list(host: Host, call: Call, request: ListTokens) -> TokenList:
    tenant, now = call.caller.bounds.tenant, host.clock.now()
    own = [item for item in await _book(host, call).list_all() if item[0].tenant == tenant]
    page = own[request.offset : request.offset + request.limit]
    return TokenList(tokens=[TokenView(**describe(token, now, used)) for token, used in page], total=len(own))


async def _create(host: Host, call: Call, request: CreateToken) -> NewToken:
    book = _book(host, call)
    own = call.caller.channel
    if own is not None and request.channel is not None and rank(request.channel) > rank(own):
        raise Forbidden(f"This credential is trusted as {own}, so that its tokens cannot be trusted as more.")
    text, token = await book.create(
        await _hasher(host, book),
        role=request.role,
        tenant=call.caller.bounds.tenant,
        namespaces=tuple(request.namespaces) if request.namespaces else None,
        users=tuple(request.users) if request.users else None,
        description=request.description,
        expires_at=_expiry(host, request.expires_days),
        # A token without a channel is trusted as an agent's, and so no further than an operator.
        channel=request.channel or (None if own == "operator" else own),
    )
    return NewToken(**describe(token, host.clock.now()), token=text)


async def _rotate(host: Host, call: Call, request: RotateToken) -> NewToken:
    book = _book(host, call)
    found, own = await _own(book, call, request.token_id), call.caller.channel
    if own is not None and (found.channel is None or rank(found.channel) > rank(own)):
        raise Forbidden(f"This credential is trusted as {own}, and cannot take over a token that is trusted as more.")
    text, token = await book.rotate(await _hasher(host, book), request.token_id, _expiry(host, request.expires_days))
    return NewToken(**describe(token, host.clock.now()), token=text)


async def _revoke(host: Host, call: Call, request: TokenId) -> Revoked:
    book = _book(host, call)
    await _own(book, call, request.token_id)
    await book.revoke([request.token_id])
    return Revoked(revoked=[request.token_id])


OPERATIONS = (
    Operation(
        name="list_tokens",
        request=ListTokens,
        response=TokenList,
        handler=_list,
        access="admin",
        tag=TAG,
        summary="List the tenant's access tokens, without their secrets; for the role admin.",
    ),
    Operation(
        name="create_token",
        request=CreateToken,
        response=NewToken,
        handler=_create,
        access="admin",
        tag=TAG,
        audited="description",
        errors=("invalid_request", "forbidden"),
        summary="Create an access token for the tenant; the answer is the only time that its text is shown. For the "
        "role admin.",
    ),
    Operation(
        name="rotate_token",
        request=RotateToken,
        response=NewToken,
        handler=_rotate,
        access="admin",
        tag=TAG,
        audited="token_id",
        summary="Give an access token a new secret; the old one is refused within seconds. For the role admin.",
        errors=("not_found", "forbidden"),
    ),
    Operation(
        name="revoke_token",
        request=TokenId,
        response=Revoked,
        handler=_revoke,
        access="admin",
        tag=TAG,
        audited="token_id",
        summary="Remove an access token for good; it is refused within seconds. For the role admin.",
        errors=("not_found",),
    ),
)
