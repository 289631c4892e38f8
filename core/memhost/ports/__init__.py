"""Interfaces between the host and its plugins."""

from typing import TYPE_CHECKING

from memhost._moved import renamed
from memhost.ports.auth import Authenticator, Credentials, Recognises
from memhost.ports.clock import Clock, SystemClock
from memhost.ports.host import Access, Call, Host, InstalledPlugins, Nothing, Offered, Operation, OperationTable
from memhost.ports.models import (
    Completion,
    Embedder,
    LanguageBound,
    LanguageModel,
    Meter,
    ModelUse,
    Reranker,
    SelfChecking,
    SentenceReader,
    Vocabulary,
)
from memhost.ports.runner import JobDispatcher, JobRunner
from memhost.ports.store import KeepsHistory, Measures, Order, PutsOff, SecureDelete, Store
from memhost.ports.strategy import (
    BackgroundStrategy,
    Draft,
    ExtractionContext,
    ExtractionTools,
    KnownMemory,
    LaterStrategy,
    ModelRequest,
    ModelStrategy,
    Parsed,
    Relation,
    Strategy,
    Turn,
)

__all__ = [
    "Access",
    "Authenticator",
    "BackgroundStrategy",
    "Call",
    "Clock",
    "Completion",
    "Credentials",
    "Draft",
    "Embedder",
    "ExtractionContext",
    "ExtractionTools",
    "Host",
    "InstalledPlugins",
    "JobDispatcher",
    "JobRunner",
    "KeepsHistory",
    "KnownMemory",
    "LanguageBound",
    "LanguageModel",
    "LaterStrategy",
    "Measures",
    "Meter",
    "ModelRequest",
    "ModelStrategy",
    "ModelUse",
    "Nothing",
    "Offered",
    "Operation",
    "OperationTable",
    "Order",
    "Parsed",
    "PutsOff",
    "Recognises",
    "Relation",
    "Reranker",
    "SecureDelete",
    "SelfChecking",
    "SentenceReader",
    "Store",
    "Strategy",
    "SystemClock",
    "Turn",
    "Vocabulary",
]

if not TYPE_CHECKING:  # for a type checker there are the new names alone
    __getattr__ = renamed(__name__, {"Scrubs": "SecureDelete"})
