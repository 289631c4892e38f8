"""Opens the plugins that the configuration selects: models, store, authentication, strategies, runner."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack
from inspect import iscoroutinefunction
from typing import Any

import msgspec

from memhost import hookspecs
from memhost.errors import ConfigurationError
from memhost.history.heads import HeadKeeper
from memhost.host.auth_chain import AuthChain
from memhost.host.resources import Resources
from memhost.integrity.keys import Keyring, load_keys
from memhost.integrity.watch import TamperWatch
from memhost.jobs.outbox import Outbox
from memhost.logs import log
from memhost.plugins import PluginManager, Registry
from memhost.ports import Authenticator, Clock, Embedder, LanguageModel, Reranker, Store
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
        self._check_doors()
        self._make_data_dir()
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
        strategies = {
            entry.spec.name: entry.spec.build(self._configuration.section("strategies", entry.spec.name))
            for entry in plugins.strategies
            if llm is not None or not entry.spec.needs_model
        }
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
            sections={
                entry.plugin: self._configuration.section("plugins", entry.spec.name)
                for entry in plugins.settings_sections
            },
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

    async def enter(self, stack: AsyncExitStack, registry: Registry[Any], section: str, name: str) -> Any:
        """Open the selected spec of a kind for the life of the stack."""
        entry = registry.get(name)
        if entry is None:
            raise ConfigurationError(self._plugins.explain_missing(registry, name))
        settings = self._configuration.section(section, name)
        return await stack.enter_async_context(entry.spec.open(settings, self._context))

    async def _enter_model(self, stack: AsyncExitStack, registry: Registry[Any], name: str) -> Any:
        """Open the model plugin of that name, or the plugin that knows models by their providers' names."""
        entry, model = model_entry(registry, name)
        if entry is None:
            raise ConfigurationError(self._plugins.explain_missing(registry, name))
        settings = self._configuration.section("models", entry.spec.name)
        context = msgspec.structs.replace(self._context, model=model)
        return await stack.enter_async_context(entry.spec.open(settings, context))

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


def _masker(settings: MemorySettings, keys: Keyring | None) -> Masker:
    """Return the masker of secrets. It has the oldest of the keys, so that the masks of a secret stay the same."""
    oldest = keys.former[-1] if keys is not None and keys.former else keys
    key = oldest.key("secret-fingerprint") if oldest is not None else None
    return Masker(key, settings.secrets, frozenset(settings.secrets_also))


def store_name(configuration: Configuration, plugins: PluginManager) -> str:
    """The store asked for; `auto` is one whose deciding setting is set (`StoreSpec.chosen_by`), else sqlite."""
    specs = [entry.spec for entry in plugins.stores]
    chosen = (
        spec.name for spec in specs if spec.chosen_by and configuration.is_set(f"stores.{spec.name}.{spec.chosen_by}")
    )
    return automatic(configuration.settings.server.store, next(chosen, "sqlite"))


def model_entry(registry: Registry[Any], name: str) -> tuple[Any, str]:
    """The model plugin of that name, or that knows models by their providers' names, with that name; or None."""
    entry = registry.get(name)
    if entry is not None:
        return entry, ""
    return next((item for item in registry if item.spec.any_model), None), name


def in_use(configuration: Configuration, plugins: PluginManager) -> dict[str, list[str]]:
    """Return the uses of each plugin with this configuration, by the plugin's name."""
    server = configuration.settings.server
    chosen = [
        ("store", plugins.stores.get(store_name(configuration, plugins))),
        ("embedder", model_entry(plugins.embedders, server.embedder)[0]),
        ("language model", None if server.llm == "none" else model_entry(plugins.language_models, server.llm)[0]),
        ("reranker", None if server.reranker == "none" else model_entry(plugins.rerankers, server.reranker)[0]),
        ("runner", plugins.runners.get(automatic(server.runner, "inline"))),
        *(("auth", plugins.auth_providers.get(name)) for name in server.auth.split(",")),
        *(("interface", plugins.interfaces.get(name)) for name in server.interfaces or plugins.interfaces.names()),
        *(("strategy", entry) for entry in plugins.strategies if server.llm != "none" or not entry.spec.needs_model),
    ]
    found: dict[str, list[str]] = {}
    for use, entry in chosen:
        if entry is not None and use not in found.setdefault(entry.plugin, []):
            found[entry.plugin].append(use)
    for row in plugins.rows:
        if row.status == "ok" and any(iscoroutinefunction(getattr(hookspecs, name, None)) for name in row.hooks):
            found.setdefault(row.name, []).append("hooks")
    return found


def automatic(name: str, default: str) -> str:
    """Return the plugin that `auto` selects."""
    return default if name == "auto" else name
