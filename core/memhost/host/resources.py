"""The opened parts of a host."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

import msgspec

from memhost.history.heads import HeadKeeper
from memhost.integrity import Keyring
from memhost.integrity.watch import TamperWatch
from memhost.jobs.outbox import Outbox
from memhost.plugins import PluginManager
from memhost.ports import Authenticator, Clock, Embedder, LanguageModel, LaterStrategy, Reranker, Store, Strategy
from memhost.ranking import RankingWeights
from memhost.secrets import Masker
from memhost.settings import Settings
from memhost.usage.ledger import LateMeter
from memhost.usage.model_health import ModelHealth


@dataclass(frozen=True, kw_only=True)
class Resources:
    """The opened resources, which close with the stack."""

    stack: AsyncExitStack
    settings: Settings
    weights: RankingWeights
    plugins: PluginManager
    clock: Clock
    outbox: Outbox
    store: Store
    embedder: Embedder
    llm: LanguageModel | None
    reranker: Reranker | None
    health: ModelHealth
    authenticator: Authenticator
    strategies: Mapping[str, Strategy | LaterStrategy]
    meter: LateMeter
    keys: Keyring | None
    tampered: TamperWatch
    heads: HeadKeeper
    secrets: Masker
    sections: Mapping[str, msgspec.Struct]
