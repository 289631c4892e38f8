"""An OpenAI-compatible chat proxy: agents get memory by changing their base URL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import msgspec

from memhost import hookimpl
from memhost.settings import Secret, setting
from memhost.specs import InterfaceSpec

if TYPE_CHECKING:
    from memhost.ports import Host
    from memhost.specs import Mount

MEMHOST_API = (1, 1)


class ChatProxySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an operator may set: [interfaces.chat_proxy] in memhost.toml."""

    path: Annotated[str, setting("Where it is mounted.", pattern="^(/[A-Za-z0-9_-]+)+$")] = "/proxy/v1"
    upstream: Annotated[str, setting("Base URL of the provider that answers.", pattern="^https?://")] = (
        "https://api.openai.com/v1"
    )
    api_key: Annotated[
        Secret | None, setting("Key for the provider. Without it, the caller's Authorization header goes there.")
    ] = None
    timeout_s: Annotated[float, setting("Longest silence of the provider, in seconds.", gt=0, le=3600)] = 300.0
    memory_timeout_s: Annotated[
        float, setting("Longest wait for memory, in seconds; then the chat goes on without.", gt=0, le=60)
    ] = 5.0
    recall: Annotated[int, setting("Most memories put before a question; 0 recalls none.", ge=0, le=100)] = 8
    store: Annotated[bool, setting("Keep questions and answers in working memory.")] = True
    default_user: Annotated[
        str, setting("Whose memory it is where the request names no user; empty: then there is none.")
    ] = "default"


def _build(host: Host, settings: ChatProxySettings) -> Mount:
    from chat_proxy.door import build_mount

    return build_mount(host, settings)


@hookimpl
def memhost_interfaces() -> Sequence[InterfaceSpec]:
    """Offer `chat_proxy`; once installed, it is mounted."""
    return [
        InterfaceSpec(
            name="chat_proxy",
            summary="OpenAI-compatible chat completions with memory.",
            build=_build,
            settings=ChatProxySettings,
        )
    ]
