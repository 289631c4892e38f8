"""LiteLLM itself: imported at the first call and not before, quiet, without network of its own."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from importlib.util import find_spec
from typing import Any

from memhost.errors import MissingExtra

_LOCK = threading.Lock()
_loaded: Any = None
_users = 0


def require(plugin: str) -> None:
    """Return if the library is installed; it is not imported.

    Raises:
        MissingExtra: It is not.
    """
    if find_spec("litellm") is None:
        raise MissingExtra(plugin, "litellm")


async def load() -> Any:
    """The library. Its import takes seconds, so it happens in a thread, once."""
    return _loaded if _loaded is not None else await asyncio.to_thread(_load)


def _load() -> Any:
    global _loaded
    with _LOCK:
        if _loaded is None:
            # It reads both while it is imported: no `.env` file from wherever, no price list from the network.
            os.environ["LITELLM_MODE"] = "PRODUCTION"
            os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
            tokens = os.environ.get("TIKTOKEN_CACHE_DIR")
            import litellm

            litellm.encode(model="", text="now")  # sets tiktoken's folder for the whole process, which is put back
            os.environ.pop("TIKTOKEN_CACHE_DIR", None)
            if tokens is not None:
                os.environ["TIKTOKEN_CACHE_DIR"] = tokens
            litellm.suppress_debug_info = True
            litellm.disable_hf_tokenizer_download = True
            # Embedding requests with `max_retries=0` get this many, which the library does not declare.
            setattr(litellm, "DEFAULT_MAX_RETRIES", 0)  # noqa: B010
            for name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy"):
                logging.getLogger(name).setLevel(logging.CRITICAL)
            _loaded = litellm
    return _loaded


def facts(litellm: Any, model: str) -> dict[str, Any] | None:
    """Return LiteLLM's facts about a model, None if it lists none; unlike its own look-up this asks no server."""
    for name in (model, model.partition("/")[2]):
        if name in litellm.model_cost:
            found: dict[str, Any] = litellm.model_cost[name]
            return found
    return None


def enter() -> None:
    """Note a model that is opened."""
    global _users
    _users += 1


async def leave() -> None:
    """Note that it is closed; the last one closes the library's connections, which models share."""
    global _users
    _users -= 1
    if _users == 0 and _loaded is not None:
        await _loaded.close_litellm_async_clients()
        _loaded.in_memory_llm_clients_cache.flush_cache()
