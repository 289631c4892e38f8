"""`memhost sessions list|show|delete`."""

from __future__ import annotations

from typing import Any

import click

from memhost.cli.access import ask, target_of
from memhost.cli.options import (
    config_options,
    confirm,
    force_option,
    json_option,
    show,
    show_line,
    url_options,
)
from memhost.cli.root import Nested

_namespace = click.option("-n", "--namespace", help="Namespace of the session.")
_user = click.option("-u", "--user-id", help="User of the session.")


@click.group(cls=Nested)
def sessions() -> None:
    """List, show and delete sessions."""


@sessions.command("list")
@_namespace
@_user
@click.option("-l", "--limit", type=click.IntRange(1, 100), default=20, show_default=True)
@click.option("-o", "--offset", type=click.IntRange(0), default=0, show_default=True)
@url_options
@config_options
@json_option
def list_(
    namespace: str | None,
    user_id: str | None,
    limit: int,
    offset: int,
    as_json: bool,
    **options: Any,
) -> None:
    """List session ids, most recently updated first."""
    request = {"namespace": namespace, "user_id": user_id, "limit": limit, "offset": offset}
    found = ask(target_of(options), "list_sessions", request)
    if as_json:
        show(found)
        return
    from memhost.cli.printing import printable

    for session_id in found["sessions"]:
        click.echo(printable(session_id))
    click.echo(f"{len(found['sessions'])} of {found['total']}.", err=True)


@sessions.command("show")
@click.argument("session_id")
@_namespace
@_user
@url_options
@config_options
@json_option
def show_(
    session_id: str,
    namespace: str | None,
    user_id: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Show a session's messages."""
    request = {"session_id": session_id, "namespace": namespace, "user_id": user_id}
    target = target_of(options)
    found = ask(target, "get_session", request)
    if as_json:
        show(found)
        return
    _print(found)
    if found.get("extraction"):
        from memhost.cli.data.extraction import state_line

        owner = {name: found.get(name) for name in ("namespace", "user_id")}
        state = ask(target, "session_extraction", {"session_id": session_id, **owner, "limit": 0})
        click.echo(state_line(state))


@sessions.command()
@click.argument("session_id")
@_namespace
@_user
@click.option("--with-memories", is_flag=True, help="Also delete its turns, and what was made from them alone.")
@force_option
@url_options
@config_options
@json_option
def delete(
    session_id: str,
    namespace: str | None,
    user_id: str | None,
    with_memories: bool,
    force: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Delete a session; memories made from it stay, unless you say otherwise."""
    confirm(f"Delete the session {session_id}{' with its memories' if with_memories else ''}?", force=force)
    request = {"session_id": session_id, "namespace": namespace, "user_id": user_id}
    target = target_of(options)
    ask(target, "get_session", request)
    answer = ask(target, "delete_session", {**request, **({"with_memories": True} if with_memories else {})})
    if as_json:
        show_line({**answer, "session_id": session_id})
    else:
        click.echo(f"Deleted {session_id}.")


def _print(session: dict[str, Any]) -> None:
    from memhost.cli.printing import minute, printable, table

    owner = [f"{name} {session[name]}" for name in ("namespace", "user_id") if session.get(name)]
    click.echo(printable(" · ".join([f"session {session['session_id']}", *owner])))
    if session.get("context"):
        click.echo(printable(f"Summary: {session['context']}"))
    rows = [(minute(item["created_at"]), item["role"], _said(item)) for item in session["messages"]]
    table(("time", "role", "message"), rows)
    if session["memories"]:
        table(("memory",), [(item["text"],) for item in session["memories"]])


def _said(item: dict[str, Any]) -> str:
    """A message of an answer as a text, with the calls in it."""
    from memhost.messages.turns import received
    from memhost.operations.requests import MessageInput
    from memhost.text.conversation import readable

    known = {name: item[name] for name in MessageInput.__struct_fields__ if name in item}
    return readable(received(MessageInput(**known), item["id"], item["created_at"]))
