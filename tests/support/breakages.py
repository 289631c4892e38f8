"""Kinds of broken plugins, each a module in a distribution of its own, with what is told of it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

VERSION = "1.2.3"

_PRELUDE = """\
import asyncio, sys
from contextlib import asynccontextmanager

import msgspec
from litestar import asgi, get, post
from litestar.types import Receive, Scope, Send

from memhost import event_options, hookimpl
from memhost.errors import NotFound
from memhost.operations import Operation
from memhost.specs import *


class S(msgspec.Struct, kw_only=True):
    pass


class Needs(msgspec.Struct, kw_only=True):
    value: str


async def well(host, call, request):
    return S()


def operation(name, handler=well, **more):
    return Operation(name=name, request=S, response=S, handler=handler, access="read", tag="A", summary="s.", **more)


"""


class Kind(NamedTuple):
    """A way to be broken: its module, and words of the reason that its row gives."""

    code: str
    told: tuple[str, ...]


def _hook(name: str, body: str) -> str:
    return f"@hookimpl\ndef memhost_{name}():\n    {body}\n"


def _interface(build: str, before: str = "", name: str = "{name}") -> str:
    body = "\n".join(f"    {line}" for line in build.splitlines())
    spec = _hook("interfaces", f"return [InterfaceSpec(name='{name}', summary='s.', build=build)]")
    return f"{before}\n\ndef build(host, settings):\n{body}\n\n\n{spec}"


_AT_ENTRY = "@asynccontextmanager\nasync def life(app):\n    {body}\n    yield\n"

AT_START: dict[str, Kind] = {
    # the module
    "import-missing": Kind("import nothere", ("import failed", "No module named 'nothere'", ".py:")),
    "import-syntax": Kind("def (", ("import failed", "SyntaxError")),
    "import-exit": Kind("sys.exit(3)", ("import failed", "SystemExit")),
    "import-raises": Kind("raise RuntimeError('not today')", ("import failed", "not today", ".py:")),
    "import-recursion": Kind("def f():\n    return f()\nf()", ("import failed", "RecursionError")),
    "api-newer": Kind("MEMHOST_API = (9, 9)\n" + _hook("stores", "return []"), ("plugin API 9 to 9", "update memhost")),
    "api-nonsense": Kind("MEMHOST_API = 'one'\n" + _hook("stores", "return []"), ("MEMHOST_API must be a pair",)),
    # its hooks
    "hook-unknown": Kind(
        "@hookimpl\nasync def memhost_after_serch(hits): return hits",
        ("unknown hook memhost_after_serch", "did you mean memhost_after_search?"),
    ),
    "hook-argument": Kind("@hookimpl\nasync def memhost_after_search(hitz): return hitz", ("hitz",)),
    "hook-not-async": Kind("@hookimpl\ndef memhost_after_search(hits): return hits", ("async def",)),
    "hook-async": Kind("@hookimpl\nasync def memhost_operations(): return []", ("must be written as 'def'",)),
    "hook-unmarked": Kind("async def memhost_after_search(hits): return hits", ("implements no hook",)),
    "hook-raises": Kind(_hook("operations", "raise RuntimeError('no operations')"), ("no operations", ".py:")),
    "hook-exits": Kind(_hook("operations", "sys.exit(2)"), ("SystemExit",)),
    "hook-nonsense": Kind(_hook("operations", "return ['x']"), ("must return Operation objects, not str",)),
    "hook-number": Kind(_hook("schedules", "return 5"), ("TypeError",)),
    "hook-other-kind": Kind(
        _hook("stores", "return [ScheduleSpec(name='a', summary='s', every_s=1)]"), ("must return StoreSpec",)
    ),
    "hook-many": Kind(
        _hook("schedules", "return (ScheduleSpec(name=f's{n}', summary='s', every_s=1) for n in range(10**9))"),
        ("more than 1000",),
    ),
    # specs
    "spec-upper-case": Kind(_hook("schedules", "return [ScheduleSpec(name='A', summary='s', every_s=1)]"), ("lower",)),
    "spec-no-name": Kind(_hook("schedules", "return [ScheduleSpec(name='', summary='s', every_s=1)]"), ("lower case",)),
    "spec-open": Kind(
        _hook("stores", "return [StoreSpec(name='a', summary='s', open=None)]"), ("open is not callable",)
    ),
    "spec-settings": Kind(
        _hook("settings", "return [SettingsSpec(name='{name}', settings=5)]"), ("settings is not a msgspec.Struct",)
    ),
    "schedule-negative": Kind(
        _hook("schedules", "return [ScheduleSpec(name='a', summary='s', every_s=-1)]"), ("a number above 0",)
    ),
    "schedule-nan": Kind(
        _hook("schedules", "return [ScheduleSpec(name='a', summary='s', every_s=float('nan'))]"), ("a number above 0",)
    ),
    # names of others
    "takes-operation": Kind(_hook("operations", "return [operation('search_memories')]"), ("the host has one",)),
    "takes-command": Kind(
        _hook("commands", "return [CommandSpec(name='serve', summary='s', load=lambda: None)]"),
        ("the command 'serve'", "the host has one"),
    ),
    "takes-store": Kind(
        "@asynccontextmanager\nasync def opened(s, c): yield None\n"
        + _hook("stores", "return [StoreSpec(name='sqlite', summary='s', open=opened)]"),
        ("the store name sqlite", "store-sqlite (memhost"),
    ),
    "takes-store-badly": Kind(
        _hook("stores", "return [StoreSpec(name='sqlite', summary='s', open=None)]"),
        ("open is not callable", "the store name sqlite is taken by store-sqlite (memhost"),
    ),
    "takes-interface": Kind(_interface("return Mount()", name="rest"), ("the interface name rest", "interface-rest")),
    "takes-setting": Kind(
        "class Path(msgspec.Struct, kw_only=True):\n    path: str = ''\n"
        + _hook("settings", "return [SettingsSpec(name='sqlite', settings=Path)]"),
        ("SQLITE_PATH", "store-sqlite (memhost"),
    ),
    "takes-host-setting": Kind(
        "class Port(msgspec.Struct, kw_only=True):\n    _port: str = ''\n"
        "class Renamed(msgspec.Struct, kw_only=True, rename={'a': 'level'}):\n    a: str = ''\n"
        + _hook("settings", "return [SettingsSpec(name='log', settings=Renamed)]"),
        ("LOG_LEVEL", "memhost itself"),
    ),
    "takes-tool": Kind(_hook("operations", "return [operation('search_memory')]"), ("MCP tools", "search_memory")),
    "takes-path": Kind(
        _interface("return Mount(handlers=[taking])", "@get('/v1/health')\nasync def taking() -> str: return 'hi'"),
        ("/v1/health", "takes /v1", "rest of interface-rest (memhost"),
    ),
    "takes-page": Kind(
        _interface("return Mount(handlers=[taking])", "@get('/metrics')\nasync def taking() -> str: return 'hi'"),
        ("/metrics", "metrics of interface-metrics (memhost"),
    ),
    "takes-everything": Kind(
        _interface(
            "return Mount(handlers=[asgi('/', is_mount=True, copy_scope=False)(taking)])",
            "async def taking(scope: Scope, receive: Receive, send: Send) -> None: ...",
        ),
        ("answers /", "choose a path of its own"),
    ),
    "clash-one": Kind(
        _hook("schedules", "return [ScheduleSpec(name='nightly', summary='s', every_s=1)]"),
        ("nightly is offered by", "broken-clash-one 1.2.3", "broken-clash-two 1.2.3"),
    ),
    "clash-two": Kind(
        _hook("schedules", "return [ScheduleSpec(name='nightly', summary='s', every_s=1)]"),
        ("nightly is offered by", "broken-clash-one 1.2.3", "broken-clash-two 1.2.3"),
    ),
    "clash-path-one": Kind(
        _interface("return Mount(handlers=[page])", "@get('/clash')\nasync def page() -> str: return 'hi'"),
        ("/clash", "broken-clash-path-two 1.2.3"),
    ),
    "clash-path-two": Kind(
        _interface("return Mount(handlers=[page])", "@get('/clash')\nasync def page() -> str: return 'hi'"),
        ("/clash", "broken-clash-path-one 1.2.3"),
    ),
    # settings
    "settings-required": Kind(
        _hook("settings", "return [SettingsSpec(name='{name}', settings=Needs)]"),
        ("needs value", "BROKEN_SETTINGS_REQUIRED_VALUE"),
    ),
    "settings-declared": Kind(
        "class Odd(msgspec.Struct, kw_only=True):\n    a: set[dict] | list[str] | tuple[int] = ()\n"
        + _hook("settings", "return [SettingsSpec(name='{name}', settings=Odd)]"),
        ("are declared wrongly",),
    ),
    "settings-default": Kind(
        "def fails(): raise RuntimeError('no default')\n"
        "class Odd(msgspec.Struct, kw_only=True):\n    a: list = msgspec.field(default_factory=fails)\n"
        + _hook("settings", "return [SettingsSpec(name='{name}', settings=Odd)]"),
        ("are declared wrongly", "no default"),
    ),
    "interface-required": Kind(
        "def build(host, settings): return Mount()\n"
        + _hook("interfaces", "return [InterfaceSpec(name='{name}', summary='s.', build=build, settings=Needs)]"),
        ("needs value",),
    ),
    # strategies
    "strategy-build": Kind(
        "def build(settings): raise RuntimeError('no strategy')\n"
        + _hook("strategies", "return [StrategySpec(name='{name}', summary='s', build=build)]"),
        ("its strategy", "no strategy", ".py:"),
    ),
    "strategy-type": Kind(
        _hook("strategies", "return [StrategySpec(name='{name}', summary='s', build=lambda settings: 5)]"),
        ("of the type int", "lacks"),
    ),
    # interfaces
    "build-raises": Kind(_interface("raise RuntimeError('cannot build')"), ("cannot build", ".py:")),
    "build-exits": Kind(_interface("sys.exit(4)"), ("SystemExit",)),
    "build-number": Kind(_interface("return 5"), ("must return a memhost.specs.Mount, not int",)),
    "build-nothing": Kind(_interface("return None"), ("not NoneType",)),
    "build-async": Kind(
        "async def build(host, settings): return Mount()\n"
        + _hook("interfaces", "return [InterfaceSpec(name='{name}', summary='s.', build=build)]"),
        ("not coroutine",),
    ),
    "build-arguments": Kind(
        "def build(host): return Mount()\n"
        + _hook("interfaces", "return [InterfaceSpec(name='{name}', summary='s.', build=build)]"),
        ("TypeError", "positional argument"),
    ),
    "build-library": Kind(
        _interface("import json\njson.loads('{')\nreturn Mount()"), ("JSONDecodeError", "broken_build")
    ),
    "handlers-nonsense": Kind(_interface("return Mount(handlers=[5])"), ("cannot be built",)),
    "handlers-path": Kind(
        _interface("return Mount(handlers=[page])", "@get('/{x:nosuchtype}')\nasync def page(x: str) -> str: return x"),
        ("cannot be built", "nosuchtype"),
    ),
    "middleware-raises": Kind(_interface("return Mount(middleware=[lambda app: 1 // 0])"), ("ZeroDivisionError",)),
    "middleware-type": Kind(_interface("return Mount(middleware=[lambda app: 5])"), ("must make an ASGI application",)),
    "lifespan-raises": Kind(
        _interface("return Mount(lifespan=[life])", _AT_ENTRY.format(body="raise RuntimeError('no start')")),
        ("does not start", "no start", ".py:"),
    ),
    "lifespan-no-manager": Kind(
        _interface("return Mount(lifespan=[life])", "async def life(app): ..."), ("does not start",)
    ),
    "lifespan-number": Kind(_interface("return Mount(lifespan=[5])"), ("a lifespan must be",)),
    "lifespan-no-yield": Kind(
        _interface(
            "return Mount(lifespan=[life])",
            "@asynccontextmanager\nasync def life(app):\n    return\n    yield\n",
        ),
        ("does not start", "didn't yield"),
    ),
}
"""Broken before anything is served: left out, with the reason."""

_ROUTES = """
async def raw(scope: Scope, receive: Receive, send: Send) -> None:
    raise LookupError("raw application")

async def mute(scope: Scope, receive: Receive, send: Send) -> None:
    pass

@get("/broken/raises")
async def raises() -> str: raise ValueError("route is broken")

@get("/broken/exits")
async def exits() -> str: sys.exit(3)

@get("/broken/known")
async def known() -> str: raise NotFound("There is no such thing.")

@post("/broken/body")
async def body(data: dict) -> dict: return data

@get("/broken/well")
async def fine() -> str: return "well"

@asynccontextmanager
async def life(app):
    yield
    raise RuntimeError("no end")
"""

WHILE_RUNNING: dict[str, str] = {
    "routes": _interface(
        "return Mount(handlers=[raises, exits, known, body, fine, asgi('/broken/raw', copy_scope=False)(raw)], "
        "lifespan=[life])",
        _ROUTES,
    ),
    "middleware": _interface(
        "return Mount(middleware=[around])",
        """
def around(app):
    async def call(scope, receive, send):
        if (b"x-break", b"middleware") in scope["headers"]:
            raise ValueError("middleware is broken")
        await app(scope, receive, send)
    return call
""",
    ),
    "operation": 'async def fails(host, call, request): raise KeyError("x")\n'
    "async def exits(host, call, request): sys.exit(3)\n"
    + _hook("operations", "return [operation('broken_fails', fails), operation('broken_exits', exits)]"),
    "extractor": "from memhost import MemoryExtractor\n\n\n"
    "class Notes(MemoryExtractor):\n    name, version, needs_model = 'broken-notes', '1', False\n\n"
    "    async def extract(self, messages):\n        raise TypeError('notes are broken')\n\n\n"
    + _hook("strategies", "return [Notes.spec()]"),
    "hook": "@hookimpl\nasync def memhost_after_search(hits, search):\n"
    "    if len(search.text) == 13: raise ValueError('broken rerank of ' + search.text)\n"
    "    if search.text == 'junk': return 'junk'\n"
    "    if search.text == 'double': return hits + hits\n"
    "    if search.text == 'exit': sys.exit(3)\n",
}
"""Loaded, and broken when it is used."""


def write(folder: Path, kinds: dict[str, str]) -> None:
    """Write the distribution `broken-<kind>` of each kind, whose entry point has the same name."""
    for kind, code in kinds.items():
        name = f"broken-{kind}"
        module = name.replace("-", "_")
        (folder / f"{module}.py").write_text(_PRELUDE + code.replace("{name}", name))
        info = folder / f"{module}-{VERSION}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {VERSION}\n")
        (info / "entry_points.txt").write_text(f"[memhost]\n{name} = {module}\n")
