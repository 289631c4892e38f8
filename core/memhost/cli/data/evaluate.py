"""`memhost eval`: how well a server finds memories."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from memhost.cli.access import TIMEOUT_S, answer_of, run
from memhost.cli.options import json_option, show
from memhost.errors import ConfigurationError

if TYPE_CHECKING:
    from memhost.evaluation import AmsServer, EvalSet, Measured

_COLUMNS = {
    "recall@1": "r@1", "recall@5": "r@5", "recall@10": "r@10", "recall@25": "r@25", "all@5": "all@5", "mrr": "MRR",
    "evidence@250": "250", "evidence@500": "500", "evidence@750": "750", "evidence@1500": "1500",
    "winner_first": "winner", "stale_above": "stale",
}  # fmt: skip


class _Side(NamedTuple):
    """A server to measure: one that runs, or one that is started with settings."""

    name: str
    url: str | None
    token: str | None
    settings: Mapping[str, str]
    mode: str | None


_MODES = click.Choice(("semantic", "keyword", "hybrid"))


@click.command("eval")
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--timelines/--no-timelines",
    "with_timelines",
    default=None,
    help="Ask about generated facts that change, in six languages; by default only if no file is given.",
)
@click.option("--seed", type=int, default=7, show_default=True, help="Seed of the timelines.")
@click.option("--conversations", type=click.IntRange(1), help="At most so many conversations of each file.")
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="A setting of the server; may be repeated."
)
@click.option("--url", help="A running server to measure, instead of one that is started.")
@click.option("--token", envvar="MEMHOST_TOKEN", show_envvar=True, help="Token for that server.")
@click.option("--against-set", multiple=True, metavar="NAME=VALUE", help="A setting of a second server to compare.")
@click.option("--against", metavar="URL", help="A running server to compare.")
@click.option("--against-token", help="Token for the server to compare.")
@click.option("--mode", type=_MODES, help="How to search, by name; else as the server does by default.")
@click.option("--against-mode", type=_MODES, help="The same for the server to compare.")
@click.option(
    "--wait",
    type=click.FloatRange(1),
    default=60.0,
    show_default=True,
    help="Seconds within which a server must find what was written.",
)
@json_option
def evaluate(files: tuple[Path, ...], as_json: bool, **options: Any) -> None:
    """Measure how well a server finds memories, beside plain BM25.

    FILES are question sets: LoCoMo's format, or a JSON object with conversations and questions (docs/benchmarks.md).
    Without files, memhost asks about generated timelines.

    A server is started in a temporary folder for each column, with default settings and those of --set. A running
    server (--url, --against) needs to speak the REST interface of Agent Memory Server. What is written there lies in a
    namespace of its own, and is deleted afterwards.
    """
    sides = _sides(options)
    sets = _sets(files, options)
    reports = run(lambda: _measure(sides, sets, options["wait"]))
    if as_json:
        show({"sets": reports})
        return
    for each in reports:
        _print(each)


def _sides(options: Mapping[str, Any]) -> list[_Side]:
    found = [_side("--url", options["url"], options["token"], "--set", options["settings"], options["mode"])]
    if options["against"] or options["against_set"] or options["against_mode"]:
        token, given, mode = options["against_token"], options["against_set"], options["against_mode"]
        found.append(_side("--against", options["against"], token, "--against-set", given, mode))
        if found[0].name == found[1].name:
            raise click.UsageError("Both columns are the same; give --against or --against-set something else.")
    _check_names([name for side in found for name in side.settings])
    return found


def _side(
    url_option: str, url: str | None, token: str | None, set_option: str, given: Sequence[str], mode: str | None
) -> _Side:
    if url and given:
        raise click.UsageError(f"{set_option} is for a server that is started; {url_option} names one that runs.")
    if url and not url.startswith(("http://", "https://")):
        raise click.BadParameter(f"{url} must begin with http:// or https://.", param_hint=url_option)
    settings = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise click.UsageError(f"{set_option} {text}: write it as NAME=VALUE.")
        settings[name] = value
    name = " ".join(filter(None, (url or " ".join(given), mode)))
    return _Side(name or "memhost", url, token, settings, mode)


def _check_names(names: Sequence[str]) -> None:
    """A setting that no server reads would compare nothing."""
    from memhost.plugins import PluginManager
    from memhost.settings.known import PROVIDER_VARIABLES
    from memhost.settings.loading import all_settings
    from memhost.settings.sources import suggest

    if not names:
        return
    known = {name for setting in all_settings(PluginManager.load().sections()) for name in setting.env}
    unknown = [name for name in names if name not in known | PROVIDER_VARIABLES]
    if unknown:
        raise ConfigurationError([f"{name} is not a setting.{suggest(name, known)}" for name in unknown])


def _sets(files: Sequence[Path], options: Mapping[str, Any]) -> list[EvalSet]:
    import msgspec

    from memhost.evaluation import read_set, timelines

    found = [read_set(file) for file in files]
    most = options["conversations"]
    found = [msgspec.structs.replace(each, conversations=each.conversations[:most]) for each in found]
    wanted = options["with_timelines"]
    if wanted or (wanted is None and not found):
        found.append(timelines(options["seed"], **({"conversations": most} if most else {})))
    if not found:
        raise click.UsageError("Name a file, or leave out --no-timelines.")
    names = [each.name for each in found]
    if len(set(names)) < len(names):
        raise click.UsageError("Two sets have the same name.")
    return found


async def _measure(sides: Sequence[_Side], sets: Sequence[EvalSet], wait_s: float) -> list[dict[str, Any]]:
    from memhost.cli.printing import progress
    from memhost.evaluation import measure_floor, measure_server, report

    measured: list[list[Measured]] = [[measure_floor(each)] for each in sets]
    total = sum(len(each.questions) for each in sets) * len(sides)
    bar, task = progress("Asking", total)
    with bar:
        for side in sides:
            async with _server(side, wait_s) as server:
                for given, rows in zip(sets, measured, strict=True):
                    rows.append(await measure_server(server, given, side.name, lambda: bar.advance(task)))
    return [report(given, rows) for given, rows in zip(sets, measured, strict=True)]


@asynccontextmanager
async def _server(side: _Side, wait_s: float) -> AsyncIterator[AmsServer]:
    if side.url:
        async with _client(side.url, side.token, side.mode, wait_s) as server:
            try:
                yield server
            finally:
                await server.clear()
        return
    from memhost.cli.server.demo import running_server

    with (
        tempfile.TemporaryDirectory(prefix="memhost-eval-") as folder,
        running_server(Path(folder), side.settings) as url,
    ):
        async with _client(url, None, side.mode, wait_s) as server:
            yield server


@asynccontextmanager
async def _client(url: str, token: str | None, mode: str | None, wait_s: float) -> AsyncIterator[AmsServer]:
    import httpx

    from memhost.evaluation import AmsServer

    headers = {"authorization": f"Bearer {token}"} if token else {}
    namespace = f"memhost-eval-{secrets.token_hex(6)}"
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=TIMEOUT_S, trust_env=False) as client:
        yield AmsServer(client=client, read=answer_of, namespace=namespace, mode=mode, wait_s=wait_s)


def _print(found: dict[str, Any]) -> None:
    from memhost.cli.printing import table

    systems = found["systems"]
    names = [name for name in _COLUMNS if name in systems[0]["all"]]
    columns = ("", "n", *(_COLUMNS[name] for name in names))
    rows: list[tuple[str, ...]] = []
    for each in systems:
        rows += _with_interval(each["name"], str(found["questions"]), each["all"], names, "{:.3f}")
    if compared := found.get("difference"):
        rows += _with_interval("difference", "", compared["all"], names, "{:+.3f}")
    categories = list(systems[0]["by_category"])
    for category in categories if len(categories) > 1 else ():
        for each in systems:
            values = each["by_category"][category]
            rows.append((f"{category}: {each['name']}", str(values["questions"]), *_means(values, names, "{:.3f}")))
    title = f"{found['set']}: {found['questions']} questions about {found['conversations']} conversations"
    table(columns, rows, title=title, whole=columns)
    for each in systems:
        if times := each.get("search_ms"):
            composed = "the context that it composes" if each["budgets_by"] == "context" else "its hits in order"
            click.echo(
                f"{each['name']}: search p50 {times['p50']:.1f} ms, p95 {times['p95']:.1f} ms. "
                f"Within tokens: {composed}."
            )
    click.echo("±: half of the 95 % bootstrap interval over questions.\n")


def _with_interval(
    name: str, count: str, values: dict[str, Any], names: Sequence[str], form: str
) -> list[tuple[str, ...]]:
    halves = [f"±{(values[each]['high'] - values[each]['low']) / 2:.3f}" if each in values else "" for each in names]
    return [(name, count, *_means(values, names, form)), ("", "", *halves)]


def _means(values: dict[str, Any], names: Sequence[str], form: str) -> list[str]:
    return [form.format(values[name]["mean"]) if name in values else "-" for name in names]
