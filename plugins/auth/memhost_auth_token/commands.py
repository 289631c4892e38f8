"""Create, list, revoke and rotate access tokens."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from memhost.commands import (
    Nested,
    administrator,
    config_options,
    confirm,
    force_option,
    json_option,
    minute,
    opened,
    run,
    show,
    table,
)
from memhost.errors import ConfigurationError
from memhost.models import ROLES, TRUSTS, Trust

if TYPE_CHECKING:
    from memhost_auth_token.keys import Hasher
    from memhost_auth_token.token_store import Token, TokenStore


def _number(_context: click.Context, _option: click.Parameter, value: float | None) -> float | None:
    if value is not None and math.isnan(value):  # ranges let it pass
        raise click.BadParameter("nan is not a number of days.")
    return value


_expires_option = click.option(
    "-e",
    "--expires-days",
    type=click.FloatRange(0, 36_500, min_open=True),
    callback=_number,
    help="Days until it expires; without it, never.",
)


class _Tokens(Nested):
    """Knows Agent Memory Server's names as well."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name."""
        return super().get_command(ctx, {"add": "create", "remove": "revoke"}.get(cmd_name, cmd_name))


@click.group(cls=_Tokens)
def token() -> None:
    """Create, list, revoke and rotate access tokens.

    Works on the store itself, whether the server runs or not. A running server sees new tokens at once, and revoked
    ones are refused within seconds.
    """


@token.command()
@click.option("-d", "--description", default="", help="Purpose of the token.")
@click.option("--role", type=click.Choice(ROLES), default="writer", show_default=True)
@click.option("-t", "--tenant", default="default", show_default=True, help="The tenant that it belongs to.")
@click.option("-n", "--namespace", "namespaces", multiple=True, help="Only this namespace; repeat it for more.")
@click.option("-u", "--user", "users", multiple=True, help="Only this user; repeat it for more.")
@_expires_option
@click.option(
    "--channel",
    type=click.Choice(TRUSTS),
    help="Trust what it writes this far at most; without it, turns by their role, and memories as an agent's.",
)
@config_options
@json_option
def create(
    description: str,
    role: str,
    tenant: str,
    namespaces: tuple[str, ...],
    users: tuple[str, ...],
    expires_days: float | None,
    channel: Trust | None,
    data: str | None,
    config_file: Path | None,
    as_json: bool,
) -> None:
    """Make a token and print it, this once."""

    async def work() -> tuple[str, Token]:
        async with _book(data, config_file, creates=True) as (book, hasher, now, audit):
            await audit("create_token", description, tenant)
            return await book.create(
                await _checked(book, hasher),
                role=role,
                tenant=tenant,
                namespaces=namespaces or None,
                users=users or None,
                description=description,
                expires_at=_expiry(now, expires_days),
                channel=channel,
            )

    _tell(*run(work), as_json)


@token.command()
@click.argument("token_id", metavar="ID")
@_expires_option
@config_options
@json_option
def rotate(
    token_id: str, expires_days: float | None, data: str | None, config_file: Path | None, as_json: bool
) -> None:
    """Give a token a new secret and print it, this once; the old one is refused within seconds."""

    async def work() -> tuple[str, Token]:
        async with _book(data, config_file) as (book, hasher, now, audit):
            await audit("rotate_token", token_id)
            return await book.rotate(await _checked(book, hasher), token_id, _expiry(now, expires_days))

    _tell(*run(work), as_json)


@token.command("list")
@config_options
@json_option
def list_(data: str | None, config_file: Path | None, as_json: bool) -> None:
    """List tokens, oldest first, without their secrets."""
    from memhost_auth_token.operations import describe

    async def work() -> list[dict[str, Any]]:
        async with _book(data, config_file) as (book, _, now, _audit):
            return [describe(token, now, used) for token, used in await book.list_all()]

    found = run(work)
    if as_json:
        show({"tokens": found})
    elif not found:
        click.echo("No tokens; create one with: memhost token create")
    else:
        _print(found)


@token.command()
@click.argument("token_ids", metavar="ID...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All tokens.")
@force_option
@config_options
@json_option
def revoke(
    token_ids: tuple[str, ...],
    everything: bool,
    force: bool,
    data: str | None,
    config_file: Path | None,
    as_json: bool,
) -> None:
    """Remove tokens for good; they are refused within seconds."""
    if bool(token_ids) == everything:
        raise click.UsageError("Name the tokens by their ids, or give --all.")
    which = "all tokens" if everything else f"{len(token_ids)} tokens"
    confirm(f"Remove {which} for good?", force=force)

    async def work() -> list[str]:
        async with _book(data, config_file) as (book, _, _now, audit):
            chosen = [token.id for token, _ in await book.list_all()] if everything else list(dict.fromkeys(token_ids))
            for token_id in chosen:
                await audit("revoke_token", token_id)
            await book.revoke(chosen)
            return chosen

    revoked = run(work)
    if as_json:
        show({"revoked": revoked})
    else:
        click.echo(f"{len(revoked)} revoked.")


@asynccontextmanager
async def _book(
    data: str | None, config_file: Path | None, *, creates: bool = False
) -> AsyncIterator[tuple[TokenStore, Any, datetime, Any]]:
    """The tokens of the store, what makes the hasher, the time, and what tells plugins of administration.

    The host is opened without authentication, so that it can be set up and mended with these commands.
    """
    from memhost_auth_token.keys import load_hasher
    from memhost_auth_token.token_store import TokenStore

    async with opened(data, config_file, options={"server.auth": "none"}, creates=creates) as host:
        if not (await host.store.info()).durable:
            raise ConfigurationError(
                "This store loses all data, including tokens, when its process ends: set AUTH_TOKENS, or use another "
                "STORE."
            )
        settings: Any = host.configuration.section("auth", "token")

        def hasher() -> Hasher:
            return load_hasher(settings.key, host.configuration.data_dir)

        async def audit(action: str, target: str, tenant: str = "default") -> None:
            await host.services.audit.record(administrator(tenant), action, target)

        yield TokenStore(host.store, host.clock), hasher, host.clock.now(), audit


async def _checked(book: TokenStore, hasher: Any) -> Hasher:
    made: Hasher = hasher()
    await book.check_key(made)
    return made


def _expiry(now: datetime, days: float | None) -> datetime | None:
    return now + timedelta(days=days) if days is not None else None


def _tell(text: str, token: Token, as_json: bool) -> None:
    from memhost_auth_token.operations import describe

    shown = describe(token, token.created_at)
    del shown["last_used_at"]
    if as_json:
        show({"token": text, **shown})
        return
    click.echo(text)
    until = f"until {token.expires_at:%Y-%m-%d %H:%M} UTC" if token.expires_at else "until it is revoked"
    click.echo(f"Role {token.role}, {_reach(shown)}, {until}. Copy it now: memhost does not show it again.", err=True)


def _reach(shown: dict[str, Any]) -> str:
    parts = [f"tenant {shown['tenant']}"]
    parts += [f"{name} {', '.join(shown[name])}" for name in ("namespaces", "users") if shown[name] is not None]
    parts += [f"trusted as {shown['channel']}"] if shown["channel"] is not None else []
    return ", ".join(parts)


def _print(found: list[dict[str, Any]]) -> None:
    rows = [
        (
            item["id"],
            item["description"],
            item["role"],
            _reach(item),
            _minute(item["created_at"]),
            _minute(item["expires_at"]) or "never",
            _minute(item["last_used_at"]) or "never",
            item["status"],
        )
        for item in found
    ]
    table(("id", "description", "role", "reaches", "created", "expires", "last used", "status"), rows)


def _minute(value: datetime | None) -> str:
    return minute(value.isoformat()) if value is not None else ""
