"""Which names and web pages may reach the server: protection against DNS rebinding and foreign origins."""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import urlsplit

from memhost.settings.addresses import is_address as is_address  # part of this module's public names
from memhost.settings.addresses import is_loopback as is_loopback
from memhost.settings.schema import ServerSettings

_OF_CONTAINERS = frozenset({"host.docker.internal", "host.containers.internal"})
"""Names that containers give their own machine. Nobody can register them."""


_HOST = re.compile(r"(\[[0-9a-f:.%a-z]*\]|[^\[\]:@/?#\\\s]*)(?::[0-9]*)?")


class Guard:
    """Checks the headers `Host` and `Origin`.

    A web page can make a browser call a server on the same machine under a name of the page's own (DNS rebinding).
    So a server without authentication answers only to localhost, to IP addresses, which cannot be rebound, to
    the name that containers give this machine, and to names that the operator listed. With authentication the page
    lacks the token, and any name will do, unless names are listed.

    Args:
        hosts: Names that the operator listed, with or without a port.
        origins: Origins that the operator listed, as in `https://app.example.com`; `*` allows all, or is a part.
        strict: The server has no authentication.
        short_names: Names without a dot are taken as well: they come from the server's own network.
        origins_setting: Where the operator lists origins, for the sentence that refuses one.
    """

    def __init__(
        self,
        hosts: Collection[str],
        origins: Collection[str],
        *,
        strict: bool,
        short_names: bool = False,
        origins_setting: str = "CORS_ALLOWED_ORIGINS",
    ) -> None:
        self._hosts = frozenset(host.lower() for host in hosts)
        self._origins = frozenset(origin.lower().rstrip("/") for origin in origins)
        self._strict = strict or bool(hosts)
        self._short_names = short_names
        self._origins_setting = origins_setting

    def refuses(self, host: str, origin: str) -> str:
        """Why a request is refused, empty if it is not."""
        host, origin = host.lower(), origin.lower().rstrip("/")
        if self._strict and not self._is_known(host):
            return (
                f"This server does not accept requests to the host name {host or '(none)'}. If the name is yours, add "
                "it to ALLOWED_HOSTS."
            )
        if not origin or any(_fits(pattern, origin) for pattern in self._origins):
            return ""
        place = urlsplit(origin).netloc
        if place and (place == host or _is_local(place)):
            return ""
        return (
            f"Web pages of {origin} may not call this server. To allow them, add that origin to "
            f"{self._origins_setting}."
        )

    def _is_known(self, host: str) -> bool:
        name = _name(host)
        return (
            host in self._hosts
            or name in self._hosts
            or name in _OF_CONTAINERS
            or _is_local(host)
            or is_address(name)
            or (self._short_names and bool(name) and "." not in name)
        )


def open_server_guard(server: ServerSettings) -> Guard:
    """The guard of a server without authentication."""
    return Guard(
        server.allowed_hosts, server.cors_allowed_origins, strict=True, short_names=not is_loopback(server.host)
    )


def _fits(pattern: str, origin: str) -> bool:
    """Tell whether the pattern matches the origin; one `*` matches anything, as in `https://*.example.com`."""
    start, star, end = pattern.partition("*")
    if not star:
        return origin == pattern
    return len(origin) >= len(start) + len(end) and origin.startswith(start) and origin.endswith(end)


def _name(host: str) -> str:
    """Return the name or address in a `Host` header; empty if anything but a port follows it."""
    found = _HOST.fullmatch(host)
    return found[1] if found else ""


def _is_local(host: str) -> bool:
    return is_loopback(_name(host))
