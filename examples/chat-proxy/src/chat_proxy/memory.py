"""Recalls before a chat and keeps it afterwards. Trouble is logged and told, and never stops the chat."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import msgspec

from chat_proxy import ChatProxySettings
from chat_proxy.conversation import Message, Owner
from memhost.errors import MemhostError
from memhost.models import Caller
from memhost.operations import Call

if TYPE_CHECKING:
    from memhost.ports import Host

logger = logging.getLogger(__name__)


class ChatMemory:
    """The memory of one request.

    Attributes:
        told: What became of it, for the header `X-Memhost-Memory`.
    """

    def __init__(self, host: Host, settings: ChatProxySettings, caller: Caller, request_id: str) -> None:
        self.told: list[str] = []
        self._host = host
        self._settings = settings
        self._call = Call(caller=caller, request_id=request_id)

    async def recall(self, owner: Owner, question: str) -> str:
        """What is remembered of the question, fenced as data by the host; empty if there is nothing.

        What the session itself holds is left out: the agent sends it anyway.
        """
        if not self._settings.recall or not question:
            return ""
        search: dict[str, Any] = {
            "limit": self._settings.recall,
            "user_id": {"eq": owner.user},
            "session_id": {"ne": owner.session},
        }
        if owner.namespace:
            search["namespace"] = {"eq": owner.namespace}
        prompt = await self._do("recall", "memory_prompt", query=question, long_term_search=search)
        found = prompt.long_term_memories if prompt is not None else None
        if not found:
            return ""
        self.told.append(f"recalled={len(found)}")
        return "\n\n".join(each.content.text for each in prompt.messages if each.role == "system")

    async def keep(self, owner: Owner, turn: list[Message]) -> None:
        """Append the turn to the session in working memory."""
        if self._settings.store and turn:
            fields = {"session_id": owner.session, "user_id": owner.user, "namespace": owner.namespace}
            if await self._do("store", "change_session", **fields, messages=turn) is not None:
                self.told.append("stored")

    async def _do(self, doing: str, operation: str, **fields: Any) -> Any:
        """The answer of the operation, None if it failed."""
        try:
            request = msgspec.convert(fields, self._host.operations[operation].request)
            async with asyncio.timeout(self._settings.memory_timeout_s):
                return await self._host.execute(operation, self._call, request)
        except MemhostError as error:
            code, sentence = error.code, error.message
        except TimeoutError:
            code, sentence = "timeout", f"memory took longer than {self._settings.memory_timeout_s:g} s"
        except msgspec.ValidationError as error:
            code, sentence = "invalid_arguments", str(error)
        self.told.append(f"{doing}-failed={code}")
        fields = {"doing": doing, "code": code, "error": sentence, "request_id": self._call.request_id}
        logger.warning("chat_proxy.without_memory", extra={"fields": fields})
        return None
