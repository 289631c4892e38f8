"""`memhost user delete`."""

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
    tenant_option,
    url_options,
)
from memhost.cli.root import Nested


@click.group(cls=Nested)
def user() -> None:
    """Remove every trace of a user."""


@user.command()
@click.argument("user_id")
@click.option("-n", "--namespace", help="Only what the user has in this namespace.")
@tenant_option
@force_option
@url_options
@config_options
@json_option
def delete(
    user_id: str,
    namespace: str | None,
    force: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Permanently delete all memories, sessions and other data of a user, and print a receipt."""
    target = target_of(options)
    where = f" in namespace {namespace}" if namespace else ""
    confirm(f"Delete everything of the user {user_id}{where}? This cannot be undone.", force=force)

    receipt = ask(target, "delete_user", {"user_id": user_id, "namespace": namespace})
    if as_json:
        show(receipt)
        return
    from memhost.cli.printing import printable

    counts = ", ".join(f"{count} {sort.replace('_', ' ')}" for sort, count in receipt["counts"].items())
    click.echo(printable(f"Deleted {user_id}{where}: {counts or 'there was nothing'}."))
    if receipt.get("files") == "pending":
        click.echo("memhost is still removing remaining bytes of deleted data from the store's files.")
    click.echo(f"Receipt {receipt['id']} of {receipt['erased_at']}, sha256 {receipt['sha256']}")
