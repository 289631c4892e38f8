"""Checks of addresses in settings: what looks like one and is none would be ignored without a word."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from urllib.parse import urlsplit

_LONGEST = 64
"""Letters of the longest name or address that is remembered: strangers may send longer ones."""


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach that address."""
    return (_is_loopback if len(host) <= _LONGEST else _is_loopback.__wrapped__)(host)


@lru_cache(maxsize=500)
def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def is_address(name: str) -> bool:
    """Tell whether it is an IP address, not a name."""
    return (_is_address if len(name) <= _LONGEST else _is_address.__wrapped__)(name)


@lru_cache(maxsize=500)
def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def check_network(text: str) -> None:
    """Return if it is an address or network of proxies, or `*` for all.

    Raises:
        ValueError: It is not.
    """
    if text == "*":
        return
    try:
        ipaddress.ip_network(text)
    except ValueError:
        raise ValueError(
            f"{text} in trusted_proxies is neither an IP address nor a network such as 10.0.0.0/8 (names are not "
            "looked up)"
        ) from None


def check_origin(text: str) -> None:
    """Return if it is the origin of web pages, or `*` for all; `*` may also replace a part of the name.

    Raises:
        ValueError: It is not.
    """
    if text == "*":
        return
    try:
        parts = urlsplit(text)
        good = bool(parts.scheme and parts.hostname) and f"{parts.scheme}://{parts.netloc}" == text.lower()
        good = good and "@" not in parts.netloc and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if not good or text != text.lower():
        raise ValueError(
            f"{text} in cors_allowed_origins is not an origin: write it in lower case and without a path, as browsers "
            "send it, such as https://app.example.com"
        )
