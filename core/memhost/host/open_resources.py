"""Opens the plugins that the configuration selects: models, store, authentication, strategies, runner."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack
from typing import Any

import msgspec

from memhost.errors import ConfigurationError, MemhostError
from memhost.history.heads import HeadKeeper
from memhost.host.auth_chain import AuthChain
from memhost.host.resources import Resources
from memhost.host.selection import chosen, leave_out_incomplete, model_entry, store_name
from memhost.integrity.keys import Keyring, load_keys
from memhost.integrity.watch import TamperWatch
from memhost.jobs.outbox import Outbox
from memhost.logs import log
from memhost.plugins import PluginManager, Registered, Registry
from memhost.plugins.blame import at_start
from memhost.plugins.discovery import OWN_DISTRIBUTION
from memhost.ports import (
    Authenticator,
    BackgroundStrategy,
    Clock,
    Embedder,
    JobRunner,
    LanguageModel,
    LaterStrategy,
    ModelStrategy,
    Reranker,
    Store,
    Strategy,
)
from memhost.ranking import RankingWeights
from memhost.secrets import Masker
from memhost.settings import Configuration
from memhost.settings.schema import MemorySettings
from memhost.specs import OpenContext
from memhost.usage.ledger import LateMeter
from memhost.usage.model_health import ModelHealth, WatchedEmbedder
from memhost.usage.passage_embedding import PassageEmbedder

logger = logging.getLogger(__name__)


class ResourceOpener:
    """Opens what the configuration selects."""

    def __init__(
        self, configuration: Configuration, plugins: PluginManager, clock: Clock, *, reindex: bool, adopt: bool = False
    ) -> None:
        self._configuration = configuration
        self._plugins = plugins
        self._clock = clock
        self._data_dir = configuration.data_dir
        self._meter = LateMeter()
        self._watch = TamperWatch(clock.now)
        self._context = OpenContext(
            data_dir=self._data_dir,
            clock=clock,
            reindex=reindex,
            adopt=adopt,
            meter=self._meter,
            tampered=self._watch,
            setting=configuration.value,
        )

    async def open(self, stack: AsyncExitStack) -> Resources:
        """Open models, store and authentication, in this order: each may use those before it."""
        settings, plugins = self._configuration.settings, self._plugins
        leave_out_incomplete(self._configuration, plugins)
        self._check_doors()
        self._make_data_dir()
        strategies = self._strategies()
        embedder: Embedder = await self._enter_model(stack, plugins.embedders, settings.server.embedder)
        self._context = msgspec.structs.replace(self._context, embedder=embedder.name, dimensions=embedder.dimensions)
        llm: LanguageModel | None = None
        if settings.server.llm != "none":
            llm = await self._enter_model(stack, plugins.language_models, settings.server.llm)
        reranker: Reranker | None = None
        if settings.server.reranker != "none":
            reranker = await self._enter_model(stack, plugins.rerankers, settings.server.reranker)
        chosen = store_name(self._configuration, self._plugins)
        self._context = msgspec.structs.replace(self._context, keys=self._keys(chosen))
        store: Store = await self.enter(stack, plugins.stores, "stores", chosen)
        self._context = msgspec.structs.replace(self._context, store=store)
        authenticator = await self._authenticator(stack, settings.server.auth)
        health, outbox = ModelHealth(self._clock), Outbox(plugins)
        return Resources(
            stack=stack,
            settings=settings,
            weights=self._weights(),
            plugins=plugins,
            clock=self._clock,
            outbox=outbox,
            store=store,
            embedder=embedder if embedder.local else PassageEmbedder(WatchedEmbedder(embedder, health)),
            llm=llm,
            reranker=reranker,
            health=health,
            authenticator=authenticator,
            strategies=strategies,
            meter=self._meter,
            keys=self._context.keys,
            tampered=self._watch,
            heads=self._heads(store, outbox),
            secrets=_masker(settings.memory, self._context.keys),
            sections={entry.plugin: self._section(entry, "plugins") for entry in plugins.settings_sections},
        )

    def _heads(self, store: Store, outbox: Outbox) -> HeadKeeper:
        return HeadKeeper(
            store=store,
            keys=self._context.keys,
            setting=self._configuration.settings.server.integrity_head_file,
            watch=self._watch,
            outbox=outbox,
            clock=self._clock,
        )

    def _keys(self, store: str) -> Keyring | None:
        """The server's keys; those that nobody asked for are no reason not to start.

        Raises:
            ConfigurationError: The keys that the settings name cannot be used.
        """
        text, entry = self._configuration.settings.server.integrity_key, self._plugins.stores.get(store)
        if not text and entry is not None and entry.spec.shared:
            log(logger, logging.WARNING, "integrity.no_key", reason="the store is shared", set="INTEGRITY_KEY")
            return None
        try:
            keys = load_keys(text)
        except ConfigurationError as error:
            if text:
                raise
            log(logger, logging.WARNING, "integrity.no_key", reason=error.message, set="INTEGRITY_KEY")
            return None
        if keys is not None:
            log(logger, logging.INFO, "integrity.key", id=keys.id, source=keys.source)
        return keys

    async def _authenticator(self, stack: AsyncExitStack, names: str) -> Authenticator:
        """The provider of that name, or several, by their names with commas."""
        providers: list[Authenticator] = [
            await self.enter(stack, self._plugins.auth_providers, "auth", name) for name in names.split(",")
        ]
        return providers[0] if len(providers) == 1 else AuthChain(providers)

    def _strategies(self) -> dict[str, Strategy | LaterStrategy]:
        """All strategies that can work with this configuration; a foreign one that cannot be built is left out.

        Raises:
            ConfigurationError: One that the configuration selects, or a bundled one, cannot be built.
        """
        found: dict[str, Strategy | LaterStrategy] = {}
        for entry in self._plugins.strategies:
            name = entry.spec.name
            if entry.spec.needs_model and self._configuration.settings.server.llm == "none":
                continue
            try:
                built = entry.spec.build(self._section(entry, "strategies"))
                check_kind(built, f"the strategy {name}", *PORTS["strategy"])
            except (Exception, SystemExit) as error:
                if self._plugins.is_bundled(entry.plugin):
                    raise
                told = f"its strategy {name} cannot be built: {at_start(error, self._module(entry))}"
                selected = chosen(self._configuration, self._plugins).get(entry.plugin)
                if selected is not None:
                    raise ConfigurationError(f"Plugin {entry.origin}, which {selected} selects: {told}.") from error
                self._plugins.leave_out(entry.plugin, told, error)
            else:
                found[name] = built
        return {name: built for name, built in found.items() if name in self._plugins.strategies}

    def _module(self, entry: Registered[Any]) -> str:
        return next(row.module for row in self._plugins.rows if row.name == entry.plugin)

    def _section(self, entry: Registered[Any], section: str) -> msgspec.Struct:
        """The settings of a plugin's part.

        Raises:
            ConfigurationError: Required ones have no value; the sentence names the plugin.
        """
        try:
            return self._configuration.section(section, entry.spec.name)
        except ConfigurationError as error:
            raise _naming(error, entry) from error

    async def enter(self, stack: AsyncExitStack, registry: Registry[Any], section: str, name: str) -> Any:
        """Open the selected spec of a kind for the life of the stack.

        Raises:
            ConfigurationError: It is missing or cannot be opened; the sentence names the plugin.
            MemhostError: As the plugin raises it.
        """
        entry = registry.get(name)
        if entry is None:
            raise ConfigurationError(self._plugins.explain_missing(registry, name))
        return await self._enter(stack, registry.kind, entry, section, self._context)

    async def _enter_model(self, stack: AsyncExitStack, registry: Registry[Any], name: str) -> Any:
        """Open the model plugin of that name, or the plugin that knows models by their providers' names."""
        entry, model = model_entry(registry, name)
        if entry is None:
            raise ConfigurationError(self._plugins.explain_missing(registry, name))
        context = msgspec.structs.replace(self._context, model=model)
        return await self._enter(stack, registry.kind, entry, "models", context)

    async def _enter(
        self, stack: AsyncExitStack, kind: str, entry: Registered[Any], section: str, context: OpenContext
    ) -> Any:
        settings, what = self._section(entry, section), f"the {kind} {entry.spec.name}"
        try:
            opened = await stack.enter_async_context(entry.spec.open(settings, context))
            check_kind(opened, what, *PORTS[kind])
        except MemhostError as error:
            raise _naming(error, entry) from error.__cause__
        except (Exception, SystemExit) as error:
            told = at_start(error, self._module(entry))
            raise ConfigurationError(
                f"Plugin {entry.origin}, which the configuration selects: {what} cannot be opened: {told}."
            ) from error
        return opened

    def _weights(self) -> RankingWeights:
        try:
            return msgspec.convert(self._configuration.settings.search.weights, RankingWeights)
        except msgspec.ValidationError as error:
            names = ", ".join(RankingWeights.__struct_fields__)
            raise ConfigurationError(f"search.weights: {error}. Its names are: {names}.") from error

    def _check_doors(self) -> None:
        """Refuse bounds of doors that there are not: such a bound would bind nobody."""
        doors = (*self._plugins.interfaces.names(), "command-line", "python")
        named = self._configuration.settings.server.interface_trust
        if unknown := [name for name in named if name not in doors]:
            raise ConfigurationError(
                f"INTERFACE_TRUST names {', '.join(unknown)}, and no interface is called so: use {', '.join(doors)}."
            )

    def _make_data_dir(self) -> None:
        try:
            self._data_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(
                f"The data folder {self._data_dir} cannot be created ({error.strerror}); choose another with --data."
            ) from error


PORTS: dict[str, tuple[type, ...]] = {
    "store": (Store,),
    "strategy": (Strategy, ModelStrategy, BackgroundStrategy),
    "embedder": (Embedder,),
    "language model": (LanguageModel,),
    "reranker": (Reranker,),
    "auth provider": (Authenticator,),
    "runner": (JobRunner,),
}
"""The ports of which specs of each kind open or build one."""


def check_kind(opened: object, what: str, *ports: type) -> None:
    """Return if the object has all methods of one of the ports.

    Raises:
        TypeError: It has not; the methods that it lacks.
    """
    lacking = [[name for name in _methods(port) if not callable(getattr(opened, name, None))] for port in ports]
    if all(lacking):
        nearest = min(lacking, key=len)
        raise TypeError(f"{what} is of the type {type(opened).__name__}, which lacks {', '.join(nearest)}")


def _methods(port: type) -> list[str]:
    return [
        name
        for each in port.__mro__
        if each.__module__.startswith("memhost.")
        for name, value in vars(each).items()
        if callable(value) and not name.startswith("_")
    ]


def _naming(error: MemhostError, entry: Registered[Any]) -> MemhostError:
    """The error, which names the plugin if it is not one of memhost's own."""
    if entry.distribution != OWN_DISTRIBUTION and entry.origin not in error.message:
        error.message = f"{error.message} (plugin {entry.origin})"
        error.args = (error.message,)
        if isinstance(error, ConfigurationError):
            error.problems = tuple(f"{problem} (plugin {entry.origin})" for problem in error.problems)
    return error


def _masker(settings: MemorySettings, keys: Keyring | None) -> Masker:
    """Return the masker of secrets. It has the oldest of the keys, so that the masks of a secret stay the same."""
    oldest = keys.former[-1] if keys is not None and keys.former else keys
    key = oldest.key("secret-fingerprint") if oldest is not None else None
    return Masker(key, settings.secrets, frozenset(settings.secrets_also))
