"""Which names and web pages may reach the server: protection against DNS rebinding and foreign origins."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit


class Guard:
    """Checks the headers `Host` and `Origin`.

    A web page can make a browser call a server on the same machine under a name of the page's own (DNS rebinding).
    So a server without authentication answers only to localhost, to IP addresses, which cannot be rebound, and to
    names that the operator listed. With authentication the page lacks the token, and any name will do, unless names
    are listed.

    Args:
        hosts: Names that the operator listed, with or without a port.
        origins: Origins that the operator listed, as in `https://app.example.com`; `*` allows all.
        strict: The server has no authentication.
    """

    def __init__(self, hosts: Collection[str], origins: Collection[str], *, strict: bool) -> None:
        self._hosts = frozenset(host.lower() for host in hosts)
        self._origins = frozenset(origin.lower().rstrip("/") for origin in origins)
        self._strict = strict or bool(hosts)

    def refuses(self, host: str, origin: str) -> str:
        """Why a request is refused, empty if it is not."""
        host, origin = host.lower(), origin.lower().rstrip("/")
        if self._strict and not self._is_known(host):
            return (
                f"This server does not answer to the name {host or '(none)'}. If that name is yours, add it to "
                "MCP_ALLOWED_HOSTS."
            )
        if not origin or "*" in self._origins or origin in self._origins:
            return ""
        place = urlsplit(origin).netloc
        if place and (place == host or _is_local(place)):
            return ""
        return f"Pages of {origin} may not use this server. To allow them, add that origin to MCP_ALLOWED_ORIGINS."

    def _is_known(self, host: str) -> bool:
        name = _name(host)
        return host in self._hosts or name in self._hosts or _is_local(host) or _is_address(name)


def _name(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


def _is_local(host: str) -> bool:
    name = _name(host)
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
