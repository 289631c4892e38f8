"""Opens the plugins that the configuration selects: models, store, authentication, strategies, runner."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

import msgspec

from memhost.assembly import Parts
from memhost.errors import ConfigurationError
from memhost.plugins import PluginManager, Registry
from memhost.ports import Authenticator, Clock, Embedder, LanguageModel, Store
from memhost.ranking import RankingWeights
from memhost.services.model_health import ModelHealth, WatchedEmbedder
from memhost.services.outbox import Outbox
from memhost.services.providers import SeveralProviders
from memhost.services.usage import LateMeter
from memhost.settings import Configuration
from memhost.specs import OpenContext


class Opener:
    """Opens what the configuration selects."""

    def __init__(self, configuration: Configuration, plugins: PluginManager, clock: Clock, *, reindex: bool) -> None:
        self._configuration = configuration
        self._plugins = plugins
        self._clock = clock
        self._data_dir = configuration.data_dir
        self._meter = LateMeter()
        self._context = OpenContext(
            data_dir=self._data_dir, clock=clock, reindex=reindex, meter=self._meter, setting=configuration.value
        )

    async def open(self, stack: AsyncExitStack) -> Parts:
        """Open models, store and authentication, in this order: each may use those before it."""
        settings, plugins = self._configuration.settings, self._plugins
        self._make_data_dir()
        embedder: Embedder = await self._enter_model(stack, plugins.embedders, settings.server.embedder)
        self._context = msgspec.structs.replace(self._context, embedder=embedder.name, dimensions=embedder.dimensions)
        llm: LanguageModel | None = None
        if settings.server.llm != "none":
            llm = await self._enter_model(stack, plugins.language_models, settings.server.llm)
        store: Store = await self.enter(stack, plugins.stores, "stores", self._store_name())
        self._context = msgspec.structs.replace(self._context, store=store)
        authenticator = await self._authenticator(stack, settings.server.auth)
        strategies = {
            entry.spec.name: entry.spec.build(self._configuration.section("strategies", entry.spec.name))
            for entry in plugins.strategies
            if llm is not None or not entry.spec.needs_model
        }
        health = ModelHealth(self._clock)
        return Parts(
            stack=stack,
            settings=settings,
            weights=self._weights(),
            plugins=plugins,
            clock=self._clock,
            outbox=Outbox(plugins),
            store=store,
            embedder=embedder if embedder.local else WatchedEmbedder(embedder, health),
            llm=llm,
            health=health,
            authenticator=authenticator,
            strategies=strategies,
            meter=self._meter,
            sections={
                entry.plugin: self._configuration.section("plugins", entry.spec.name)
                for entry in plugins.settings_sections
            },
        )

    def _store_name(self) -> str:
        """The store asked for; `auto` is one whose deciding setting is set (`StoreSpec.chosen_by`), else sqlite."""
        specs = [entry.spec for entry in self._plugins.stores]
        chosen = (
            spec.name
            for spec in specs
            if spec.chosen_by and self._configuration.is_set(f"stores.{spec.name}.{spec.chosen_by}")
        )
        return automatic(self._configuration.settings.server.store, next(chosen, "sqlite"))

    async def _authenticator(self, stack: AsyncExitStack, names: str) -> Authenticator:
        """The provider of that name, or several, by their names with commas."""
        providers: list[Authenticator] = [
            await self.enter(stack, self._plugins.auth_providers, "auth", name) for name in names.split(",")
        ]
        return providers[0] if len(providers) == 1 else SeveralProviders(providers)

    async def enter(self, stack: AsyncExitStack, registry: Registry[Any], section: str, name: str) -> Any:
        """Open the selected spec of a kind for the life of the stack."""
        entry = registry.get(name)
        if entry is None:
            raise ConfigurationError(self._plugins.explain_missing(registry, name))
        settings = self._configuration.section(section, name)
        return await stack.enter_async_context(entry.spec.open(settings, self._context))

    async def _enter_model(self, stack: AsyncExitStack, registry: Registry[Any], name: str) -> Any:
        """Open the model plugin of that name, or the plugin that knows models by their providers' names."""
        entry = registry.get(name)
        model = ""
        if entry is None:
            entry, model = next((item for item in registry if item.spec.any_model), None), name
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

    def _make_data_dir(self) -> None:
        try:
            self._data_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(
                f"The data folder {self._data_dir} cannot be made ({error.strerror}); name another with --data."
            ) from error


def automatic(name: str, default: str) -> str:
    """The plugin that `auto` stands for."""
    return default if name == "auto" else name
