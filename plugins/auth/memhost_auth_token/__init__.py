"""Authentication provider `token`: opaque tokens kept in the store, and the commands that manage them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated

import msgspec

from memhost import hookimpl
from memhost.models import Trust
from memhost.settings import Secret, setting
from memhost.specs import AuthSpec, CommandSpec, OpenContext

if TYPE_CHECKING:
    import click

    from memhost.operations import Operation
    from memhost_auth_token.provider import TokenAuthenticator


class TokenSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Checking of tokens."""

    key: Annotated[
        str | None,
        setting(
            "Key that tokens are hashed with, at least 32 characters; without it, the file token.key in the data "
            "folder. Servers that share a store but no data folder need the same key.",
            env=("AUTH_TOKEN_KEY",),
            secret=True,
        ),
    ] = None
    tokens: Annotated[
        tuple[Secret, ...],
        setting(
            "Additional tokens that you choose, each at least 32 characters; they have the role admin.",
            env=("AUTH_TOKENS",),
            secret=True,
        ),
    ] = ()
    tokens_channel: Annotated[
        Trust | None,
        setting(
            "How far what the tokens of AUTH_TOKENS write is trusted: operator, user, assistant, agent, import, tool "
            "or external; none goes by role, and trusts memories as an agent's.",
            env=("AUTH_TOKENS_CHANNEL",),
        ),
    ] = None
    cache_s: Annotated[
        float,
        setting("How long a server process caches a token, seconds; a revoked token may work that long.", ge=0),
    ] = 2.0
    last_use_every_s: Annotated[float, setting("The last use of a token is recorded at most this often.", ge=1)] = (
        3600.0
    )


@asynccontextmanager
async def open_token(settings: TokenSettings, context: OpenContext) -> AsyncIterator[TokenAuthenticator]:
    """Open the provider.

    Raises:
        ConfigurationError: The key is not the one of the tokens in the store, or a token of the settings is too short.
    """
    from memhost_auth_token.provider import open_provider

    async with open_provider(settings, context) as provider:
        yield provider


def _load_command() -> click.Command:
    from memhost_auth_token.commands import token

    return token


@hookimpl
def memhost_auth_providers() -> Sequence[AuthSpec]:
    """Offer `token`."""
    return [
        AuthSpec(
            name="token",
            summary="Tokens created by memhost token create, each with a role and bounds.",
            open=open_token,
            settings=TokenSettings,
        )
    ]


@hookimpl
def memhost_operations() -> Sequence[Operation]:
    """Tokens of a tenant, for its admins."""
    from memhost_auth_token.operations import OPERATIONS

    return OPERATIONS


@hookimpl
def memhost_commands() -> Sequence[CommandSpec]:
    """Offer `memhost token`."""
    return [
        CommandSpec(name="token", summary="Create, list, revoke and rotate access tokens.", load=_load_command),
    ]
