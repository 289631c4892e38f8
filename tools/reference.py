"""Writes `docs/reference/`: a page for each hook and each port, from the code.

    python tools/reference.py

Descriptions are the docstrings, examples the files of `docs/examples/hooks/`.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import msgspec

from memhost import events, hookspecs, ports, specs
from memhost.hooks import EventOptions
from memhost.host import core_tasks
from memhost.operations import Operation
from memhost.plugins import PluginManager
from memhost.settings.schema import ServerSettings

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs" / "reference"
EXAMPLES = ROOT / "docs" / "examples" / "hooks"
TESTS = ROOT / "tests" / "core" / "hooks"
HOOKS = [name for name in vars(hookspecs) if name.startswith("memhost_")]
NOTE = "<!-- Written by `python tools/reference.py`; a test compares. Do not edit. -->"

RETURNED: dict[str, tuple[type, ...]] = {
    "memhost_stores": (specs.StoreSpec,),
    "memhost_strategies": (specs.StrategySpec,),
    "memhost_models": (specs.EmbedderSpec, specs.LanguageModelSpec, specs.RerankerSpec),
    "memhost_auth_providers": (specs.AuthSpec,),
    "memhost_runners": (specs.RunnerSpec,),
    "memhost_interfaces": (specs.InterfaceSpec, specs.Mount),
    "memhost_operations": (Operation,),
    "memhost_settings": (specs.SettingsSpec,),
    "memhost_commands": (specs.CommandSpec,),
    "memhost_schedules": (specs.ScheduleSpec,),
    "memhost_maintenance_tasks": (specs.MaintenanceTask,),
}
PORTS: dict[str, tuple[str, str]] = {
    "Store": ("memhost_stores", "store.StoreConformance"),
    "Measures": ("memhost_stores", "store.StoreConformance"),
    "SecureDelete": ("memhost_stores", "store.StoreConformance"),
    "KeepsHistory": ("memhost_stores", "store.StoreConformance"),
    "PutsOff": ("memhost_stores", "store.StoreConformance"),
    "Strategy": ("memhost_strategies", "strategy.StrategyConformance"),
    "ModelStrategy": ("memhost_strategies", "strategy.StrategyConformance"),
    "BackgroundStrategy": ("memhost_strategies", "strategy.StrategyConformance"),
    "Embedder": ("memhost_models", "model.EmbedderConformance"),
    "Vocabulary": ("memhost_models", "model.EmbedderConformance"),
    "LanguageBound": ("memhost_models", "model.EmbedderConformance"),
    "SentenceReader": ("memhost_models", "model.EmbedderConformance"),
    "SelfChecking": ("memhost_models", "model.LanguageModelConformance"),
    "LanguageModel": ("memhost_models", "model.LanguageModelConformance"),
    "Reranker": ("memhost_models", "model.RerankerConformance"),
    "Authenticator": ("memhost_auth_providers", "auth.AuthConformance"),
    "Recognises": ("memhost_auth_providers", "auth.AuthConformance"),
    "JobRunner": ("memhost_runners", "runner.RunnerConformance"),
    "JobDispatcher": ("memhost_runners", ""),
    "Clock": ("", ""),
    "Host": ("", ""),
    "InstalledPlugins": ("", ""),
    "Offered": ("", ""),
}
"""Each port: the hook that offers what obeys it, and the suite of `memhost.testing` that is its definition.

Without a suite it is a port that the host gives and plugins call."""

BESIDE = {
    "Strategy": ("Turn", "Draft", "ExtractionContext"),
    "ModelStrategy": ("ModelRequest", "Parsed", "Turn", "Draft", "ExtractionContext"),
    "BackgroundStrategy": ("ExtractionTools", "Turn", "Draft", "ExtractionContext"),
    "Embedder": ("ModelUse",),
    "LanguageModel": ("Completion", "ModelUse"),
    "Reranker": ("ModelUse",),
    "Authenticator": ("Credentials",),
    "Recognises": ("Credentials",),
}
"""Structs of `memhost.ports` that a port's methods take and give."""

CALLED = {
    "registration": (
        "Synchronous; called once at start, in every process (server, worker, command line). It does no work."
    ),
    "request": (
        "Called in the request, one plugin after the other by their names (`tryfirst` first, `trylast` "
        "last); each is given what the one before it answered."
    ),
    "background": (
        "Called in the background, one job for each plugin, committed together with what caused it and "
        "delivered at least once. What is returned is ignored."
    ),
}
TASKS = (
    "Background hooks run these by name with `context.run`. Plugins add others with "
    "[`memhost_maintenance_tasks`](hooks/memhost_maintenance_tasks.md)."
)
FAILURE = {
    "registration": (
        "What raises, returns something else or takes longer than `PLUGIN_START_S` ({plugin_start_s:g} s) "
        "makes its plugin `failed`: a line `plugin.failed` in the log and a row in `memhost plugins list` "
        "name plugin, distribution and version, and the host starts without it."
    ),
    "request": (
        "Each implementation works on a copy, in a task of its own, within its time limit. If it raises "
        "(anything but `Refused`, `SystemExit` too), is too slow, or answers with something else, its "
        "`on_failure` decides: `skip` goes on as if it were not there, `refuse` fails the request with code "
        "`plugin_failure`. `hook.failed` in the log names plugin, distribution and version; `GET "
        "/v1/plugins/{name}` counts. A hook that blocks the event loop is named by `loop.blocked` after "
        "`PLUGIN_BLOCKED_S` ({plugin_blocked_s:g} s). After `PLUGIN_SUSPEND_AFTER` ({plugin_suspend_after}) "
        "failures in a row the plugin is left alone for `PLUGIN_SUSPEND_S` ({plugin_suspend_s:g} s)."
    ),
    "background": (
        "Each implementation is a job of its own: others' jobs do not wait for it. If it raises or is too "
        "slow, nothing that it staged is stored; it is tried again after `JOB_BACKOFF_S`, and buried after "
        "`JOB_MAX_TRIES` ({job_max_tries}) attempts (`memhost jobs list --state dead`), with its reason, "
        "plugin and distribution. A hook that blocks the event loop is named by `loop.blocked` after "
        "`PLUGIN_BLOCKED_S` ({plugin_blocked_s:g} s). One that blocks or goes over its limit "
        "`PLUGIN_SUSPEND_AFTER` ({plugin_suspend_after}) times in a row is suspended: its jobs wait for "
        "`PLUGIN_SUSPEND_S` ({plugin_suspend_s:g} s), then one is tried."
    ),
}


def kind_of(hook: str) -> str:
    """`registration`, `request` or `background`."""
    function = getattr(hookspecs, hook)
    if not inspect.iscoroutinefunction(function):
        return "registration"
    return "background" if "event" in inspect.signature(function).parameters else "request"


@cache
def bundled() -> PluginManager:
    """The plugins of memhost itself."""
    own = [point for point in entry_points(group="memhost") if point.dist is not None and point.dist.name == "memhost"]
    return PluginManager.load(entry_points=own)


@cache
def users() -> dict[str, list[Path]]:
    """Modules of bundled plugins and examples that implement each hook."""
    found: dict[str, list[Path]] = {hook: [] for hook in HOOKS}
    for row in bundled().rows:
        path = Path(sys.modules[row.module].__file__ or "")
        for hook in row.hooks:
            found[hook].append(path.relative_to(ROOT))
    for path in sorted((ROOT / "examples").glob("*/src/**/*.py")):
        for name in implemented(path):
            found[name].append(path.relative_to(ROOT))
    return found


def implemented(path: Path) -> list[str]:
    """Hooks that functions of a module are marked as implementations of."""
    return [
        node.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and any("hookimpl" in ast.unparse(each) for each in node.decorator_list)
    ]


def test_of(hook: str) -> tuple[Path, str]:
    """Where the hook's test is, and its name."""
    name = f"test_{hook.removeprefix('memhost_')}"
    path = next(path for path in sorted(TESTS.glob("test_*_hooks.py")) if f"def {name}(" in path.read_text())
    return path.relative_to(ROOT), name


# -- Markdown ------------------------------------------------------------------------------------------------

_SECTION = re.compile(r"^(Args|Attributes|Raises|Returns):$")


def prose(documented: Any, *, attributes: bool = True) -> str:
    """A docstring in Markdown; its sections become lists."""
    parts: list[str] = []
    section = ""
    for line in (inspect.getdoc(documented) or "").splitlines():
        if (found := _SECTION.match(line)) is not None:
            section = found[1]
            if section != "Attributes" or attributes:
                parts.append(f"*{section}*\n")
        elif section and line and not line.startswith(" "):
            section = ""
            parts.append(line)
        elif section == "Attributes" and not attributes:
            continue
        elif section and (item := re.match(r"^    (\w+): (.*)", line)):
            parts.append(f"- `{item[1]}`: {item[2]}")
        elif section:
            parts.append(f"  {line.strip()}".rstrip() if section != "Returns" else line.strip())
        else:
            parts.append(line)
    return "\n".join(parts).strip()


def described(documented: Any) -> dict[str, str]:
    """Descriptions of the attributes that a docstring has a section for."""
    _, _, section = (inspect.getdoc(documented) or "").partition("Attributes:\n")
    found: dict[str, str] = {}
    name = ""
    for line in section.splitlines():
        if (item := re.match(r"^    (\w+): (.*)", line)) is not None:
            name = item[1]
            found[name] = item[2]
        elif line.startswith("        ") and name:
            found[name] += " " + line.strip()
        elif line.strip():
            break
    return found


def written(annotation: Any) -> str:
    """An annotation as it stands in the code."""
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return re.sub(r"\b(?:memhost|collections|typing|datetime)(?:\.\w+)*\.(?=\w)", "", text)


def fields(struct: Any) -> str:
    """The fields of a struct, as a table."""
    annotations: dict[str, Any] = {}
    for base in reversed(struct.__mro__):
        annotations |= vars(base).get("__annotations__", {})
    texts = described(struct)
    rows = ["| field | type | default | meaning |", "|---|---|---|---|"]
    names = struct.__struct_fields__
    defaults = [msgspec.NODEFAULT] * (len(names) - len(struct.__struct_defaults__)) + [*struct.__struct_defaults__]
    for name, default in zip(names, defaults, strict=True):
        kind = written(annotations[name]).replace("|", "\\|")
        rows.append(f"| `{name}` | `{kind}` | {shown(default)} | {texts.get(name, '')} |")
    return "\n".join(rows)


def shown(value: Any) -> str:
    """The default of a field."""
    if value is msgspec.NODEFAULT:
        return "required"
    value = value.factory() if hasattr(value, "factory") else value
    if callable(value):
        return "none" if value.__name__.startswith("_") else f"`{value.__name__}`"
    return f"`{value!r}`"


def signature(function: Any, name: str = "") -> str:
    """The head of a function."""
    text = str(inspect.signature(function)).replace("'", "")
    parameters, arrow, result = text.rpartition(" -> ")
    head = "async def" if inspect.iscoroutinefunction(function) else "def"
    line = f"{head} {name or function.__name__}{parameters}{arrow}{result}"
    if len(line) > 110:
        inner = parameters[1:-1].replace(", *, ", ",\n    *,\n    ")
        inner = re.sub(r", (?=\w+: )", ",\n    ", inner)
        line = f"{head} {name or function.__name__}(\n    {inner},\n){arrow}{result}"
    return f"```python\n{line}\n```"


def link(path: Path, depth: int = 3) -> str:
    """A link to a file of the project from a page."""
    return f"[{path}]({'../' * depth}{path})"


def struct_section(struct: Any) -> str:
    """Heading, description and fields of a struct."""
    return f"### `{struct.__name__}`\n\n{prose(struct, attributes=False)}\n\n{fields(struct)}"


def server(text: str) -> str:
    """The text with the defaults of the host's settings."""
    return text.format_map(msgspec.structs.asdict(ServerSettings()) | {"name": "{name}"})


# -- pages ---------------------------------------------------------------------------------------------------


def hook_page(hook: str) -> str:
    """The page of a hook."""
    function, kind = getattr(hookspecs, hook), kind_of(hook)
    parts = [f"# `{hook}`", NOTE, prose(function), signature(function), CALLED[kind]]
    parts += ["## What it is given" if kind != "registration" else "## What it returns", *structs(hook, function)]
    if kind != "registration":
        parts += ["## Options", "Given with `@event_options(...)`, beside `@hookimpl`.", options(kind)]
    parts += ["## When it fails", server(FAILURE[kind])]
    test, name = test_of(hook)
    in_house = ", ".join(link(path) for path in users()[hook])
    parts += ["## Where to see it", f"- used by {in_house}\n- tested by `{name}` in {link(test)}"]
    example = EXAMPLES / f"{hook}.py"
    parts += ["## Example", f"A whole plugin ({link(example.relative_to(ROOT))}):"]
    parts.append(f"```python\n{example.read_text().strip()}\n```")
    return "\n\n".join(parts) + "\n"


def structs(hook: str, function: Any) -> Iterator[str]:
    """Sections of the structs that a hook takes or returns."""
    if hook in RETURNED:
        yield "A list (or tuple) of these. " + (inspect.getdoc(specs) or "").partition("\n\n")[2]
        yield from (struct_section(struct) for struct in RETURNED[hook])
        return
    for parameter in inspect.signature(function).parameters.values():
        struct = getattr(events, str(parameter.annotation), None)
        if parameter.name == "context":
            name = str(parameter.annotation)
            yield f"`context` is a [`{name}`](../contexts.md#{name.lower()})."
        elif struct is not None:
            yield struct_section(struct)
        else:
            yield f"`{parameter.name}` is a `{parameter.annotation}` of `memhost.models`."


def options(kind: str) -> str:
    """The options of event hooks that count for this kind."""
    wanted = ("on_failure", "timeout_s") if kind == "request" else ("timeout_s", "max_tries", "needs")
    texts = described(EventOptions)
    limit = "`HOOK_TIMEOUT_S` ({hook_timeout_s:g})" if kind == "request" else "`JOB_TIMEOUT_S` ({job_timeout_s:g})"
    tries = "`JOB_MAX_TRIES` ({job_max_tries})"
    defaults = {"on_failure": "`skip`", "timeout_s": limit, "max_tries": tries, "needs": "none"}
    rows = [f"| `{name}` | {server(defaults[name])} | {texts[name]} |" for name in wanted]
    return "\n".join(["| option | default | meaning |", "|---|---|---|", *rows])


def members(protocol: Any) -> Iterator[tuple[str, Any]]:
    """The public methods of a protocol, with those that it inherits from another port."""
    for base in reversed(protocol.__mro__):
        if base.__module__.startswith("memhost."):
            yield from (
                (name, each) for name, each in vars(base).items() if inspect.isfunction(each) and name[0] != "_"
            )


def methods(protocol: Any) -> str:
    """The methods of a protocol."""
    return "\n\n".join(f"### `{name}`\n\n{signature(each, name)}\n\n{prose(each)}" for name, each in members(protocol))


def properties(protocol: Any) -> str:
    """The properties of a protocol: name, type and meaning, a line each."""
    found = [(name, each.fget) for name, each in vars(protocol).items() if isinstance(each, property)]
    return "\n".join(f"- `{name}: {each.__annotations__['return']}`: {inspect.getdoc(each)}" for name, each in found)


def port_page(port: str) -> str:
    """The page of a port."""
    protocol = getattr(ports, port)
    hook, suite = PORTS[port]
    module = inspect.getmodule(protocol)
    parts = [f"# `{port}`", NOTE, (inspect.getdoc(module) or "").partition("\n\n")[2], prose(protocol)]
    if not suite:
        parts.append("The host gives it; plugins call it.")
    else:
        parts.append(f"Plugins implement it and offer it with [`{hook}`](../hooks/{hook}.md), where an example is.")
    if listed := properties(protocol):
        parts += ["## Properties", listed]
    if listed := methods(protocol):
        parts += ["## Methods", listed]
    if port in BESIDE:
        parts += ["## Structs", *(struct_section(getattr(ports, name)) for name in BESIDE[port])]
    if hook:
        listed = "\n".join(f"- {link(path)}" for path in users()[hook])
        parts += ["## Where to see it", f"Plugins that offer it, or a port beside it:\n\n{listed}"]
    if suite:
        module_name, _, name = suite.partition(".")
        parts += ["## Testing", f"`memhost.testing.{suite}` is the definition of this port: subclass it."]
        lines = [f"from memhost.testing.{module_name} import {name}", "", "", f"class TestAcme({name}): ..."]
        parts.append("```python\n" + "\n".join(lines) + "\n```")
    return "\n\n".join(part for part in parts if part) + "\n"


def contexts_page() -> str:
    """The page of what hooks work with."""
    parts = ["# Contexts", NOTE, "## `RequestContext`", prose(events.RequestContext, attributes=False)]
    parts += [fields(events.RequestContext), "## `JobContext`", prose(events.JobContext)]
    known = {name: written(kind) for name, kind in vars(events.JobContext)["__annotations__"].items()}
    parts.append("Attributes: " + ", ".join(f"`{name}: {kind}`" for name, kind in known.items()) + ".")
    parts += [methods(events.JobContext), "## Maintenance tasks", TASKS]
    parts += [task_section(task) for task in core_tasks()]
    parts += [task_section(entry.spec, entry.plugin) for entry in bundled().maintenance_tasks]
    return "\n\n".join(parts) + "\n"


def task_section(task: specs.MaintenanceTask, plugin: str = "") -> str:
    """Heading, arguments, answer and errors of a maintenance task."""
    parts = [f"### `{task.name}`", f"{task.summary} Offered by the plugin `{plugin}`." if plugin else task.summary]
    if task.arguments.__struct_fields__:
        parts.append(fields(task.arguments))
    parts.append(f"*Returns*\n\n{task.answer}")
    if task.errors:
        parts.append("*Raises*\n\n" + "\n".join(f"- `{kind.__name__}`: {when}" for kind, when in task.errors.items()))
    return "\n\n".join(parts)


def index() -> str:
    """The first page."""
    parts = ["# Reference of hooks and ports", NOTE, "[How plugins are made](../plugins.md) says what to do with them."]
    titles = {
        "registration": "Registration hooks",
        "request": "Event hooks in requests",
        "background": "Event hooks in the background",
    }
    for kind, title in titles.items():
        rows = [
            f"| [`{hook}`](hooks/{hook}.md) | {first_sentence(getattr(hookspecs, hook))} |"
            for hook in HOOKS
            if kind_of(hook) == kind
        ]
        parts += [f"## {title}", "\n".join(["| hook | |", "|---|---|", *rows])]
    rows = [f"| [`{port}`](ports/{port}.md) | {first_sentence(getattr(ports, port))} |" for port in PORTS]
    parts += ["## Ports", "\n".join(["| port | |", "|---|---|", *rows])]
    parts += ["## Contexts", "[What hooks work with](contexts.md)."]
    return "\n\n".join(parts) + "\n"


def first_sentence(documented: Any) -> str:
    """The first line of a docstring, without the version."""
    return re.sub(r" Since [\d.]+\.$", "", (inspect.getdoc(documented) or "").partition("\n")[0])


def pages() -> dict[Path, str]:
    """All pages, by their paths under `docs/reference`."""
    found = {Path("README.md"): index(), Path("contexts.md"): contexts_page()}
    found |= {Path("hooks", f"{hook}.md"): hook_page(hook) for hook in HOOKS}
    return found | {Path("ports", f"{port}.md"): port_page(port) for port in PORTS}


def main() -> None:
    """Write them, and remove those that are of nothing any more."""
    wanted = pages()
    for path in PAGES.rglob("*.md"):
        if path.relative_to(PAGES) not in wanted:
            path.unlink()
    for path, text in wanted.items():
        (PAGES / path).parent.mkdir(parents=True, exist_ok=True)
        (PAGES / path).write_text(text)


if __name__ == "__main__":
    main()
