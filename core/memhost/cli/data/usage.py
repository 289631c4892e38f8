"""`memhost usage`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import click

from memhost.cli.access import ask, target_of
from memhost.cli.options import config_options, json_option, show, url_options

_BAR = 24
_EIGHTHS = " ▏▎▍▌▋▊▉"
_MAX_DAYS = 400


@click.command()
@click.option("--days", type=click.IntRange(1, _MAX_DAYS), default=30, show_default=True, help="Days up to today.")
@click.option(
    "--by",
    "by",
    type=click.Choice(["day", "purpose", "model", "namespace", "user"]),
    default="day",
    show_default=True,
    help="Fields to group by.",
)
@url_options
@config_options
@json_option
def usage(
    days: int,
    by: str,
    as_json: bool,
    **options: Any,
) -> None:
    """Show the calls of language models and embedding providers by purpose, and their cost. Days are in UTC."""
    field = "user_id" if by == "user" else by
    now = datetime.now(UTC)
    request = {"from": (now - timedelta(days=days - 1)).isoformat(), "to": now.isoformat(), "group_by": [field]}
    found = ask(target_of(options), "get_usage", request)
    if as_json:
        show(found)
    else:
        _print(found, by, field)


def _print(found: dict[str, Any], by: str, field: str) -> None:
    from memhost.cli.printing import minute, table

    rows, totals = found["rows"], found["totals"]
    if not rows:
        click.echo(f"No model was called from {found['from']} to {found['to']}.")
    else:
        measure = _measure(totals)
        top = max(_value(row, measure) for row in rows)
        cells = [(row[field] or "-", *_sums(row), bar(_value(row, measure), top)) for row in rows]
        if len(rows) > 1:
            cells.append(("in all", *_sums(totals), ""))
        table((by, "calls", "failed", "tokens in", "tokens out", "US$", measure), cells)
        if totals["unpriced_calls"]:
            click.echo(f"The price of {totals['unpriced_calls']:,} calls is not known; the US$ amounts exclude them.")
    if (reviews := found.get("reviews")) and reviews["waiting"]:
        click.echo(f"{reviews['waiting']:,} memories wait for a review: memhost review list")
    for budget in found["budgets"]:
        click.echo(_budget(budget, minute(budget["resets_at"])))


def _measure(totals: dict[str, Any]) -> str:
    """Return what the bars show: money if all prices are known, else tokens."""
    return "cost" if totals["cost_usd"] and not totals["unpriced_calls"] else "tokens"


def _value(row: dict[str, Any], measure: str) -> float:
    return float(row["cost_usd"] if measure == "cost" else row["input_tokens"] + row["output_tokens"])


def _sums(row: dict[str, Any]) -> tuple[str, ...]:
    names = ("calls", "failures", "input_tokens", "output_tokens")
    return (*(f"{row[name]:,}" for name in names), f"{row['cost_usd']:,.4f}")


def _budget(budget: dict[str, Any], resets_at: str) -> str:
    if budget["kind"] == "cost_usd":
        return f"Budget of today: ${budget['left']:,.4f} left of ${budget['limit']:,.4f}; it resets at {resets_at} UTC."
    whose = f"namespace {budget['namespace']}" if budget["namespace"] else "what has no namespace"
    return (
        f"Budget of today of {whose}: {budget['left']:,.0f} tokens left of {budget['limit']:,.0f}; it resets at "
        f"{resets_at} UTC."
    )


def bar(value: float, top: float) -> str:
    """A bar of eighths of characters for a value between 0 and `top`; what is above 0 shows at least one eighth."""
    if value <= 0 or top <= 0:
        return ""
    eighths = max(1, round(value / top * _BAR * 8))
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()
