"""`memhost search`."""

from __future__ import annotations

from typing import Any

import click

from memhost.cli.access import ask, target_of
from memhost.cli.options import config_options, json_option, show, url_options

_OWNER = (("session_id", "session"), ("user_id", "user"), ("namespace", "namespace"))


@click.command()
@click.argument("query", default="")
@click.option("-n", "--namespace", help="Only this namespace.")
@click.option("-s", "--session-id", help="Only this session.")
@click.option("-u", "--user-id", help="Only this user.")
@click.option("-t", "--topics", help="Any of these topics, separated by commas.")
@click.option("-e", "--entities", help="Any of these entities, separated by commas.")
@click.option("-l", "--limit", type=click.IntRange(1, 100), default=10, show_default=True)
@click.option("-o", "--offset", type=click.IntRange(0), default=0, show_default=True)
@click.option(
    "--search-mode",
    type=click.Choice(["semantic", "keyword", "hybrid"]),
    help="Rank by vectors or by words alone; hybrid, as by default, is the whole pipeline.",
)
@click.option("--hybrid-alpha", type=click.FloatRange(0, 1), help="How much vectors count: 0 not at all, 1 alone.")
@click.option("--text-scorer", help="With search mode hybrid: rank by the weighted sum of both scores.")
@click.option("-d", "--distance-threshold", type=click.FloatRange(0), help="Only with search mode semantic.")
@click.option("--min-score", type=click.FloatRange(0, 1), help="Leave out hits with a lower score.")
@click.option("--created-after", metavar="TIME", help="Only what was stored then or later; a date is its whole day.")
@click.option("--created-before", metavar="TIME", help="Only what was stored then or earlier; likewise.")
@click.option("--timezone", metavar="ZONE", help="IANA zone in which dates are meant, like Europe/Berlin.")
@click.option("--locale", help="Locale that orders day and month in 3/4/2026, like en-GB.")
@click.option("--explain", is_flag=True, help="Explain each hit, and show the parts of its score.")
@click.option("--trace", is_flag=True, help="Show the milliseconds of each phase of the search.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), help="json is the same as --json.")
@url_options
@config_options
@json_option
def search(**options: Any) -> None:
    """Search memories. Without QUERY, list them, newest first."""
    as_json = options.pop("as_json") or options.pop("form") == "json"
    options.pop("form", None)
    target = target_of(options)
    if options["distance_threshold"] is not None and options["search_mode"] != "semantic":
        raise click.UsageError("--distance-threshold needs --search-mode semantic.")

    found = ask(target, "search_memories", _request(options))
    if as_json:
        show(found)
    else:
        _print(found, explain=options["explain"])
        if phases := found.get("trace"):
            click.echo("ms: " + ", ".join(f"{name} {spent:.1f}" for name, spent in phases.items()))


def _request(options: dict[str, Any]) -> dict[str, Any]:
    request: dict[str, Any] = {"text": options["query"] or None}
    for name in ("limit", "offset", "explain"):
        request[name] = options[name]
    if options["trace"]:  # a server older than the field would refuse it
        request["trace"] = True
    for name in ("search_mode", "hybrid_alpha", "text_scorer", "distance_threshold", "min_score", "timezone", "locale"):
        if options[name] is not None:
            request[name] = options[name]
    for name in ("namespace", "session_id", "user_id"):
        if options[name] is not None:
            request[name] = {"eq": options[name]}
    for name in ("topics", "entities"):
        if options[name]:
            request[name] = {"any": [item.strip() for item in options[name].split(",") if item.strip()]}
    bounds = {"gte": options["created_after"], "lte": options["created_before"]}
    if bounds := {name: value for name, value in bounds.items() if value is not None}:
        request["created_at"] = bounds
    return request


def _print(found: dict[str, Any], *, explain: bool) -> None:
    hits = found["memories"]
    if not hits:
        click.echo("Nothing found.")
        return
    if hint := found.get("time_hint"):
        _print_time(hint)
    if found.get("nothing_fits"):
        click.echo("Nothing fits: no memory shares a word or meaning with the query. The nearest are:")
    for hit in hits:
        _print_hit(hit, explain=explain)
    click.echo(f"{len(hits)} of {found['total']}.")


def _print_time(hint: dict[str, Any]) -> None:
    """Print the time that the query asks about."""
    from memhost.cli.printing import printable

    bounds = [f"{word} {hint[name]}" for word, name in (("from", "start"), ("before", "end")) if hint[name]]
    click.echo(printable(f"Understood as a time: {hint['reading']} ({', '.join(bounds)})."))


def _print_hit(hit: dict[str, Any], *, explain: bool) -> None:
    """Print what was said, and below it, each id whole on one line, what can be copied into other commands."""
    from memhost.cli.printing import day, printable, score, shorten

    date = day(hit.get("event_date") or hit.get("said_at") or hit.get("created_at"))
    click.echo(printable(f"{score(hit.get('score'))}  {date}  {shorten(hit['text'])}"))
    owner = [f"{title} {hit[name]}" for name, title in _OWNER if hit.get(name)]
    click.echo(printable(f"       id {' · '.join([hit['id'], *owner])}"))
    if repeats := hit.get("repeats"):
        more = hit.get("count", len(repeats) + 1) - 1
        click.echo(f"       said {more} more times, last on {day(repeats[0]['created_at'])}")
    if newer := hit.get("superseded"):
        click.echo(printable(f"       since {day(newer['since'])}: {shorten(newer['text'])}"))
    for older in hit.get("replaces", ()):
        click.echo(printable(f"       until {day(older['until'])}: {shorten(older['text'])}"))
    for turn in hit.get("evidence", ()):
        who = turn["speaker"] or turn["role"] or "said"
        click.echo(printable(f"       {day(turn['created_at'])} {who}: {shorten(turn['text'])}"))
    for sentence in hit.get("explanation", ()) if explain else ():
        click.echo(printable(f"       {sentence}"))
    if explain and hit.get("explain"):
        click.echo("       " + ", ".join(f"{name} {value:.3f}" for name, value in hit["explain"].items()))
