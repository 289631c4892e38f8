"""Interfaces between the host and its plugins."""

from memhost.ports.auth import Authenticator, Credentials
from memhost.ports.clock import Clock, SystemClock
from memhost.ports.models import Completion, Embedder, LanguageModel
from memhost.ports.runner import JobDispatcher, JobRunner
from memhost.ports.store import Order, Store
from memhost.ports.strategy import Draft, ExtractionContext, Strategy, Turn

__all__ = [
    "Authenticator",
    "Clock",
    "Completion",
    "Credentials",
    "Draft",
    "Embedder",
    "ExtractionContext",
    "JobDispatcher",
    "JobRunner",
    "LanguageModel",
    "Order",
    "Store",
    "Strategy",
    "SystemClock",
    "Turn",
]
