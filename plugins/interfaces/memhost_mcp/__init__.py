"""The MCP interface: the server's operations as tools, resources and prompts of the Model Context Protocol.

It is mounted at `/mcp` (streamable HTTP) and `/sse` of the server, and runs over standard streams as `memhost mcp`.
The MCP library is imported when the first request comes, not when the server starts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from memhost import hookimpl
from memhost.settings import setting
from memhost.specs import CommandSpec, InterfaceSpec
from memhost.text.hints import install

if TYPE_CHECKING:
    import click

    from memhost.ports import Host
    from memhost.specs import Mount


class McpSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The offer for MCP hosts, and who may connect."""

    mount: Annotated[bool, setting("Serve MCP at /mcp and /sse of the server.")] = True
    tools: Annotated[
        tuple[str, ...], setting("Tools offered: full (all), core (six for everyday use), or names of tools.")
    ] = ("full",)
    require_scope: Annotated[bool, setting("Refuse calls that name neither a user nor a namespace.")] = False
    lenient: Annotated[bool, setting("Ignore unknown arguments of tools instead of refusing them.")] = False
    allowed_origins: Annotated[
        tuple[str, ...],
        setting(
            "Origins that may connect, beside the server's own, localhost and those of CORS_ALLOWED_ORIGINS; a server "
            "without authentication takes those of CORS_ALLOWED_ORIGINS only."
        ),
    ] = ()
    user_id: Annotated[
        str | None, setting("User of calls that name none.", env=("DEFAULT_MCP_USER_ID",), option="mcp-user-id")
    ] = None
    namespace: Annotated[
        str | None,
        setting("Namespace of calls that name none.", env=("DEFAULT_MCP_NAMESPACE",), option="mcp-namespace"),
    ] = None
    public_url: Annotated[
        str | None,
        setting("Address of /mcp as clients see it, where a proxy changes it; named in OAuth metadata."),
    ] = None
    host: Annotated[
        str | None,
        setting(
            "Address that memhost mcp --mode streamable-http and sse listen on; without it 127.0.0.1, and 0.0.0.0 with "
            "authentication or in a container."
        ),
    ] = None
    port: Annotated[int, setting("Port that they listen on; 0 picks a free one.", ge=0, le=65535)] = 9000


def _build(host: Host, settings: Any) -> Mount:
    from memhost_mcp.mount import build_mount

    return build_mount(host, settings)


def _shown(settings: Any) -> Mapping[str, str]:
    if not settings.mount:
        return {}
    if find_spec("mcp") is None:
        return {"MCP": f"not there; install it with: {install('mcp')}"}
    return {"MCP": "{url}/mcp · older hosts: {url}/sse"}


def _load_command() -> click.Command:
    from memhost_mcp.commands import mcp

    return mcp


@hookimpl
def memhost_interfaces() -> Sequence[InterfaceSpec]:
    """The MCP interface."""
    return [
        InterfaceSpec(
            name="mcp",
            summary="Model Context Protocol at /mcp and /sse: tools, resources and prompts for AI agents.",
            build=_build,
            settings=McpSettings,
            shown=_shown,
        )
    ]


@hookimpl
def memhost_commands() -> Sequence[CommandSpec]:
    """Offer `memhost mcp`."""
    return [CommandSpec(name="mcp", summary="Serve MCP over standard streams; set up MCP hosts.", load=_load_command)]
