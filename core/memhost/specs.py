"""The return types of registration hooks: small frozen descriptions of what a plugin offers.

A spec is cheap to make and names things; the work starts in its `open` or `build`, which may import heavy
libraries. Every spec has a `name` that operators type in the configuration (lower case, unique per kind), a
one-line `summary`, and a `settings` struct that describes its section of the configuration.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from memhost.integrity import Keyring
from memhost.ports import (
    Authenticator,
    Clock,
    Embedder,
    JobRunner,
    LanguageModel,
    LaterStrategy,
    Meter,
    ModelUse,
    Reranker,
    Store,
    Strategy,
)

if TYPE_CHECKING:
    import click
    from litestar import Litestar
    from litestar.types import ASGIApp, ControllerRouterHandler, ExceptionHandler

    from memhost.events import JobContext
    from memhost.ports import Host


class NoSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """For plugins without options."""


def _ignore(_use: ModelUse) -> None:
    """For plugins that are opened outside a host."""


def _no_setting(_path: str) -> Any:
    """For plugins that are opened outside a host."""
    return None


def _untold(_what: str, _ids: Sequence[str]) -> None:
    """For stores that are opened outside a host."""


def _nowhere(_address: str) -> None:
    """For stores that have no address."""
    return


class OpenContext(msgspec.Struct, frozen=True, kw_only=True):
    """The host's information for a plugin that it opens.

    Attributes:
        data_dir: Folder for the plugin's files; it exists.
        clock: The host's clock.
        embedder: Name of the embedder in use (None while the embedder itself is opened).
        dimensions: Length of its vectors.
        reindex: The operator asked to replace vectors of another embedder.
        existing: The store must be there already: opening it makes no new one.
        store: The open store, for plugins that are opened after it: auth providers and job runners.
        keys: The server's keys, None if it has none: then what a store holds is not sealed.
        adopt: The operator accepts what is stored as it stands, whatever its seals.
        tampered: Tell the host of stored things that are not what was sealed: (`memory`, `session` or `document`, id).
        setting: The value of any setting by its path (`stores.redis.url`), None where there is no such setting.
    """

    data_dir: Path
    clock: Clock
    embedder: str | None = None
    dimensions: int | None = None
    reindex: bool = False
    existing: bool = False
    store: Store | None = None
    model: str = ""
    meter: Meter = _ignore
    keys: Keyring | None = None
    adopt: bool = False
    tampered: Callable[[str, Sequence[str]], None] = _untold
    setting: Callable[[str], Any] = _no_setting


class StoreSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A store.

    Attributes:
        name: What operators type to choose it; lower case, unique among stores.
        summary: One sentence for lists.
        open: Opens it for the life of the server: `async with open(settings, context) as store`.
        settings: Struct of its section of the configuration, `[stores.<name>]`.
        shared: Whether several machines can open it at once.
        chosen_by: One of its settings; where that is set, this store is the one that `STORE=auto` means.
        at: Makes an address, as `memhost migrate` takes it, into the settings that lead there; gives None if the
            address is not one of this store.
    """

    name: str
    summary: str
    open: Callable[[Any, OpenContext], AbstractAsyncContextManager[Store]]
    settings: type[msgspec.Struct] = NoSettings
    shared: bool = False
    chosen_by: str | None = None
    at: Callable[[str], Mapping[str, Any] | None] = _nowhere


class StrategySpec(msgspec.Struct, frozen=True, kw_only=True):
    """An extraction strategy.

    Attributes:
        name: What operators type to choose it; lower case, unique among strategies.
        summary: One sentence for lists.
        build: Makes it from its settings, once when the server starts.
        settings: Struct of its section of the configuration, `[strategies.<name>]`.
        config: Struct of the options that a session may set.
        needs_model: It calls a language model, and is left out where there is none.
        digests: Its memories sum up what many turns say. In searches such a memory stands for none of its turns, and
            none of them for it; other memories stand for the few turns that they were made from.
    """

    name: str
    summary: str
    build: Callable[[Any], Strategy | LaterStrategy]
    settings: type[msgspec.Struct] = NoSettings
    config: type[msgspec.Struct] = NoSettings
    needs_model: bool = False
    digests: bool = False


class EmbedderSpec(msgspec.Struct, frozen=True, kw_only=True):
    """An embedding model.

    Attributes:
        any_model: It opens any model by its provider's name: it is chosen where `EMBEDDER` names no spec, and finds
            that name in `OpenContext.model`.
        name: What operators type to choose it; lower case, unique among embedders.
        summary: One sentence for lists.
        open: Opens it for the life of the server: `async with open(settings, context) as embedder`.
        settings: Struct of its section of the configuration, `[models.<name>]`.
    """

    any_model: bool = False
    name: str
    summary: str
    open: Callable[[Any, OpenContext], AbstractAsyncContextManager[Embedder]]
    settings: type[msgspec.Struct] = NoSettings


class LanguageModelSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A language model client.

    Attributes:
        any_model: It opens any model by its provider's name: it is chosen where `LLM` names no spec, and finds that
            name in `OpenContext.model`.
        name: What operators type to choose it; lower case, unique among language models.
        summary: One sentence for lists.
        open: Opens it for the life of the server: `async with open(settings, context) as model`.
        settings: Struct of its section of the configuration, `[models.<name>]`.
    """

    any_model: bool = False
    name: str
    summary: str
    open: Callable[[Any, OpenContext], AbstractAsyncContextManager[LanguageModel]]
    settings: type[msgspec.Struct] = NoSettings


class RerankerSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A reranker.

    Attributes:
        any_model: It opens any model by its provider's name: it is chosen where `RERANKER` names no spec, and finds
            that name in `OpenContext.model`.
        name: What operators type to choose it; lower case, unique among rerankers.
        summary: One sentence for lists.
        open: Opens it for the life of the server: `async with open(settings, context) as reranker`.
        settings: Struct of its section of the configuration, `[models.<name>]`.
    """

    any_model: bool = False
    name: str
    summary: str
    open: Callable[[Any, OpenContext], AbstractAsyncContextManager[Reranker]]
    settings: type[msgspec.Struct] = NoSettings


ModelSpec = EmbedderSpec | LanguageModelSpec | RerankerSpec


class AuthSpec(msgspec.Struct, frozen=True, kw_only=True):
    """An authentication provider.

    Attributes:
        name: What operators type to choose it; lower case, unique among providers.
        summary: One sentence for lists.
        open: Opens it for the life of the server: `async with open(settings, context) as provider`.
        settings: Struct of its section of the configuration, `[auth.<name>]`.
    """

    name: str
    summary: str
    open: Callable[[Any, OpenContext], AbstractAsyncContextManager[Authenticator]]
    settings: type[msgspec.Struct] = NoSettings


class RunnerSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A job runner.

    Attributes:
        name: What operators type to choose it; lower case, unique among runners.
        summary: One sentence for lists.
        open: Opens it for the life of the server: `async with open(settings, context) as runner`.
        settings: Struct of its section of the configuration, `[runners.<name>]`.
        separate: Jobs run in processes of their own, `memhost worker`; servers open the runner without starting it and
            pass on what was committed.
    """

    name: str
    summary: str
    open: Callable[[Any, OpenContext], AbstractAsyncContextManager[JobRunner]]
    settings: type[msgspec.Struct] = NoSettings
    separate: bool = False


class Mount(msgspec.Struct, frozen=True, kw_only=True):
    """The additions of an interface to the host's HTTP application.

    Attributes:
        handlers: Litestar route handlers, controllers, routers or mounted ASGI applications.
        lifespan: Context managers around the application's life.
        middleware: ASGI middleware factories around the whole application.
        exception_handlers: Litestar exception handlers, by exception type or status. Where only foreign interfaces are
            mounted they also see what no handler answers (unknown path, wrong method); else those of the bundled do.
        direct: Applications by the path that a handler mounts them at, such as `/v1`. Plain requests below it go
            straight to them, without Litestar's routing, which takes 15 us; all others go through the handler. They
            read `raw_path`, not what Litestar adds to the scope, and answer every error themselves. For memhost's own
            interfaces; those of others go through their handlers.
    """

    handlers: Sequence[ControllerRouterHandler] = ()
    lifespan: Sequence[Callable[[Litestar], AbstractAsyncContextManager[None]]] = ()
    middleware: Sequence[Callable[[ASGIApp], ASGIApp]] = ()
    exception_handlers: Mapping[int | type[Exception], ExceptionHandler[Any]] = {}
    direct: Mapping[str, ASGIApp] = {}


def _nothing_shown(_settings: Any) -> Mapping[str, str]:
    """For interfaces of which people need not be told when the server starts."""
    return {}


class InterfaceSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A door to the operations.

    Attributes:
        name: What operators type to choose it; lower case, unique among interfaces.
        summary: One sentence for lists.
        build: Called once per application, with the running host and the settings.
        settings: Struct of its section of the configuration, `[interfaces.<name>]`.
        shown: Makes lines of the start message of the interface's settings, by their titles; `{url}` is replaced by the
            server's address. Lines titled `Try` come last.
    """

    name: str
    summary: str
    build: Callable[[Host, Any], Mount]
    settings: type[msgspec.Struct] = NoSettings
    shown: Callable[[Any], Mapping[str, str]] = _nothing_shown


class SettingsSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A section of the configuration for a plugin that has no other spec (event hooks, for instance).

    Attributes:
        name: Name of the section, `[plugins.<name>]`; lower case.
        settings: Struct of the section.
    """

    name: str
    settings: type[msgspec.Struct]


class CommandSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A command of the command line.

    Attributes:
        name: What people type after `memhost`.
        summary: One sentence for `memhost --help`.
        load: Imports and returns it, only when it is called or its help is shown.
    """

    name: str
    summary: str
    load: Callable[[], click.Command]


class ScheduleSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Work that returns: a background event `schedule_due` goes to the plugin.

    It runs once per period and tenant over all processes of the store, and once after a downtime.

    Attributes:
        name: Name that the event carries; lower case, unique among schedules.
        summary: One sentence for lists.
        every_s: Length of a period in seconds; `SCHEDULE_EVERY_S` changes it by the name, 0 switches it off.
    """

    name: str
    summary: str
    every_s: float


class NoArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """For maintenance tasks without arguments."""


class MaintenanceTask(msgspec.Struct, frozen=True, kw_only=True):
    """Work on the memories of a tenant that background hooks start by name: `await context.run("compact")`.

    A job that dies half-way runs again, so a task must end with the same result when it is repeated: it commits in
    steps that leave everything consistent, or stages its writes through the context.

    Attributes:
        name: What hooks pass to `context.run`; lower case, unique among tasks.
        summary: One sentence for lists.
        run: Does it: `await run(context, arguments)`. The context is that of the running job, with the settings and the
            documents of the plugin that offers the task. The time limit is that of the hook that started it.
        arguments: Struct of the arguments; its fields are the keywords of `context.run`, which memhost checks.
        answer: What `context.run` returns, in words, for documentation.
        errors: Errors that callers should expect, each with what it means, for documentation.
    """

    name: str
    summary: str
    run: Callable[[JobContext, Any], Awaitable[Any]]
    arguments: type[msgspec.Struct] = NoArguments
    answer: str = "Nothing."
    errors: Mapping[type[Exception], str] = {}
