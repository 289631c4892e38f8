"""`memhost profile` and `memhost user delete`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import IO, Any

import click

from memhost.cli.access import ask, reach, run, target_of
from memhost.cli.failures import CommandError
from memhost.cli.options import (
    config_options,
    confirm,
    force_option,
    json_option,
    show,
    show_line,
    tenant_option,
    url_options,
)
from memhost.cli.root import Nested
from memhost.errors import InvalidRequest


@click.group(cls=Nested)
def user() -> None:
    """Export or remove all that is stored of a user; check certificates of removal."""


@user.command()
@click.argument("user_id")
@click.option("-n", "--namespace", help="Only what the user has in this namespace.")
@tenant_option
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the certificate here.")
@force_option
@url_options
@config_options
@json_option
def delete(
    user_id: str,
    namespace: str | None,
    output: Path | None,
    force: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Permanently delete all memories, sessions and other data of a user; the answer is a signed certificate."""
    target = target_of(options)
    where = f" in namespace {namespace}" if namespace else ""
    confirm(f"Delete everything of the user {user_id}{where}? This cannot be undone.", force=force)

    receipt = ask(target, "delete_user", {"user_id": user_id, "namespace": namespace})
    if output is not None:
        _save(output, receipt)
    if as_json:
        show(receipt)
        return
    from memhost.cli.printing import printable

    counts = ", ".join(f"{count} {sort.replace('_', ' ')}" for sort, count in receipt["counts"].items())
    click.echo(printable(f"Deleted {user_id}{where}: {counts or 'there was nothing'}."))
    if receipt.get("files") == "pending":
        click.echo("memhost is still removing remaining bytes of deleted data from the store's files.")
    click.echo(f"Receipt {receipt['id']} of {receipt['erased_at']}, sha256 {receipt['sha256']}")
    if receipt.get("signature") and output is None:
        click.echo("It is a signed certificate with --output FILE or --json.")


def _save(file: Path, content: dict[str, Any]) -> None:
    try:
        file.write_text(json.dumps(content, indent=2) + "\n", "utf-8")
    except OSError as error:
        click.echo(json.dumps(content))
        raise CommandError(
            f"The data was deleted, but {file} cannot be written: {error.strerror}. The certificate is printed above."
        ) from error


@user.command()
@click.argument("user_id")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("-n", "--namespace", help="Only what the user has in this namespace.")
@tenant_option
@url_options
@config_options
@json_option
def export(user_id: str, file: Path, namespace: str | None, as_json: bool, **options: Any) -> None:
    """Write everything that is stored about a user to FILE (-: standard output), as JSON Lines.

    A token that is bound to the user is enough, with --url.
    """
    from memhost.cli.data.transfer import replacing

    target = target_of(options)

    async def work() -> dict[str, int]:
        counts: dict[str, int] = {}
        asked = {"user_id": user_id, "namespace": namespace, "limit": 200}
        async with reach(target) as access:
            with replacing(file) as written:
                _write(written, {"kind": "memhost_user_export", "format": 1, "user_id": user_id})
                while True:
                    page = await access.call("export_user", asked)
                    for item in page["items"]:
                        counts[item["kind"]] = counts.get(item["kind"], 0) + 1
                        _write(written, item)
                    if page["next"] is None:
                        break
                    asked["after"] = page["next"]
                _write(written, {"kind": "end", "counts": counts})
        return counts

    counts = run(work)
    if as_json and str(file) != "-":
        show_line({"file": str(file), "counts": counts})
        return
    told = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in sorted(counts.items()))
    click.echo(f"Exported {told or 'nothing: nothing is stored'}.", err=True)


def _write(file: IO[bytes], line: dict[str, Any]) -> None:
    file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")


@user.group(cls=Nested)
def certificate() -> None:
    """Check certificates of the removal of a user, and signed heads of the log."""


@certificate.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, allow_dash=True, dir_okay=False))
@tenant_option
@url_options
@config_options
@json_option
def check(file: Path, as_json: bool, **options: Any) -> None:
    """Tell whether the certificate or the head in FILE is genuine: the server's signature, and the entry of its log.

    The exit code is 0 if it is, else 1.
    """
    target = target_of(options)
    try:
        content = json.loads(sys.stdin.read() if str(file) == "-" else file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidRequest(f"{file} is no certificate: memhost user delete --output writes one.") from error
    if not isinstance(content, dict):
        raise InvalidRequest(f"{file} is no certificate: memhost user delete --output writes one.")
    found = ask(target, "check_certificate", {"certificate": content})
    if as_json:
        show(found)
    else:
        from memhost.cli.printing import printable

        click.echo(printable(f"{'Genuine' if found['valid'] else 'Not genuine'}: {found['detail']}"))
    if not found["valid"]:
        raise SystemExit(1)


@click.command()
@click.argument("user_id")
@click.option("-n", "--namespace", help="Only what was said in this namespace.")
@click.option("-l", "--limit", type=click.IntRange(1, 200), default=50, show_default=True, help="Most facets.")
@click.option("--offset", type=click.IntRange(0), default=0, help="Facets to skip.")
@click.option("--history", is_flag=True, help="Show what held before, too.")
@url_options
@config_options
@json_option
def profile(
    user_id: str,
    namespace: str | None,
    limit: int,
    offset: int,
    history: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Show what is known of a user: standing rules, and what holds of each facet."""
    request = {"user_id": user_id, "namespace": namespace, "limit": limit, "offset": offset}
    found = ask(target_of(options), "get_profile", request)
    if as_json:
        show(found)
    else:
        _print(found, offset, history=history)


def _print(found: dict[str, Any], offset: int, *, history: bool) -> None:
    from memhost.cli.printing import day, printable, shorten

    if not found["facets"] and not found["rules"]:
        click.echo(printable(f"Nothing is known of {found['user_id']}."))
        if not found.get("model", True):
            click.echo("A profile is made by a language model, and none is configured: set LLM_MODEL.", err=True)
        return
    for rule in found["rules"]:
        where = f" ({rule['scope']})" if rule["scope"] else ""
        click.echo(printable(f"rule{where}: {shorten(rule['text'])}"))
    for facet in found["facets"]:
        for statement in facet["statements"]:
            turns = statement["evidence"]
            seen = f"said {day(statement['said_at'])}, {turns} turn{'' if turns == 1 else 's'}"
            click.echo(printable(f"{facet['subject']}: {shorten(statement['text'])} ({seen})"))
        for past in facet["history"] if history else ():
            click.echo(printable(f"  until {day(past['until'])}: {shorten(past['text'])}"))
    if left := found["total"] - offset - len(found["facets"]):
        click.echo(f"{left} more; see --offset.", err=True)
