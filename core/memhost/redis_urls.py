"""URLs of Redis, read alike by every plugin that connects to one. No client library is imported.

The forms are `redis://`, `rediss://` (TLS), `unix://` and, for a service that Sentinels watch,
`redis+sentinel://user:password@host:port,host:port/service/database` (`rediss+sentinel://` with TLS), in whose query
`sentinel_username` and `sentinel_password` are the login of the Sentinels themselves.
"""

from __future__ import annotations

from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import msgspec

from memhost.errors import ConfigurationError

_SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel")
_SENTINEL_PORT = "26379"
_FIXED = ("protocol", "decode_responses", "encoding", "encoding_errors")
"""Options of the client library that decide the form of answers, on which those who read them rely."""


class RedisUrl(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a URL.

    Attributes:
        url: The URL itself without blanks around it, which the client library reads where no Sentinel is involved.
        server: Host and port, or path, for messages: without user and password.
        database: Number of the database as written there, empty if there is none.
        is_socket: Whether it is the path of a Unix socket.
        tls: Whether connections are encrypted.
        login: `username` and `password` of the server, as keyword arguments of a client; empty without a login.
        service: Name of the Sentinel service, empty if no Sentinel is involved.
        sentinels: Hosts and ports of the Sentinels.
        sentinel_login: `username` and `password` of the Sentinels, as far as the URL has them.
    """

    url: str
    server: str
    database: str = ""
    is_socket: bool = False
    tls: bool = False
    login: dict[str, str | None] = {}
    service: str = ""
    sentinels: tuple[tuple[str, int], ...] = ()
    sentinel_login: dict[str, str] = {}


def read_redis_url(url: str, *, setting: str, no_cluster: str) -> RedisUrl:
    """Read the URL.

    Args:
        url: Of any form.
        setting: Where it comes from, for messages: `REDIS_URL`.
        no_cluster: What to say if it means a cluster, which cannot be read.

    Raises:
        ConfigurationError: A form that is not known, a cluster, a Sentinel URL without a service, or an option that
            changes the form of answers.
    """
    url = url.strip()
    try:
        parts = urlsplit(url)
        query = dict(parse_qsl(parts.query))
        sentinel = parts.scheme.endswith("+sentinel")
        if _is_cluster(parts, query, several=not sentinel):
            raise ConfigurationError(no_cluster)
        if parts.scheme not in _SCHEMES:
            forms = ", ".join(f"{each}://" for each in _SCHEMES)
            raise ConfigurationError(f"{setting} must start with one of: {forms}.")
        if fixed := [name for name in query if name.lower() in _FIXED]:
            raise ConfigurationError(
                f"{setting} must not set {', '.join(fixed)}: memhost needs its own values for these options."
            )
        if sentinel:
            return _with_sentinels(url, parts, query, setting)
    except ValueError as error:
        raise ConfigurationError(f"{setting} cannot be read: {error}.") from error
    is_socket = parts.scheme == "unix"
    return RedisUrl(
        url=url,
        server=server_of(url),
        database=query.get("db") or ("" if is_socket else parts.path.strip("/")),
        is_socket=is_socket,
        tls=parts.scheme == "rediss",
        login=_login(parts),
    )


def server_of(url: str) -> str:
    """Host and port, or path, of a URL: what messages may show of it."""
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2] or parts.path


def _is_cluster(parts: SplitResult, query: dict[str, str], *, several: bool) -> bool:
    options = {name.lower(): value.lower() for name, value in query.items()}
    named = parts.scheme.endswith("+cluster") or options.get("cluster") in ("1", "true", "yes")
    return named or (several and "," in parts.netloc.rpartition("@")[2])


def _with_sentinels(url: str, parts: SplitResult, query: dict[str, str], setting: str) -> RedisUrl:
    service, _, database = parts.path.strip("/").partition("/")
    if not service:
        raise ConfigurationError(
            f"{setting} must name the Sentinel service: redis+sentinel://host:port,host:port/service."
        )
    return RedisUrl(
        url=url,
        server=server_of(url),
        database=query.get("db") or database,
        tls=parts.scheme.startswith("rediss"),
        login=_login(parts),
        service=service,
        sentinels=tuple(_address(each) for each in parts.netloc.rpartition("@")[2].split(",")),
        sentinel_login={
            name: query[f"sentinel_{name}"] for name in ("username", "password") if f"sentinel_{name}" in query
        },
    )


def _login(parts: SplitResult) -> dict[str, str | None]:
    login, at, _ = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    return {"username": unquote(user) or None, "password": unquote(password)} if at else {}


def _address(text: str) -> tuple[str, int]:
    """Return host and port; an IPv6 address is in brackets."""
    host, _, port = text.rpartition(":") if ":" in text.rpartition("]")[2] else (text, "", _SENTINEL_PORT)
    return host.strip("[]"), int(port)
