"""Limits the connections of a server process, and chooses which to close when they run short."""

from __future__ import annotations

import ipaddress
import logging
import sys
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import monotonic
from typing import Protocol

from memhost.host.login_throttle import network
from memhost.logs import log

logger = logging.getLogger(__name__)

_TOLD_EVERY_S = 60.0
SHARE = 2
"""The part of all connections that one address may have, unless it is a proxy's: one in so many."""
_RESERVE, _RESERVE_PART = 64, 4
"""Descriptors that connections leave to files, the store and others, or one in so many where there are few."""
_UNLIMITED = 100_000
"""Descriptors counted on where the system names no limit."""


class Connection(Protocol):
    """The facts about a connection."""

    @property
    def idleness(self) -> int:
        """0: it is being answered; 1: its body is being waited for; 2: nothing, or a part of a head, has come."""
        ...

    def drop(self) -> None:
        """Close it at once."""
        ...


def raise_descriptor_limit() -> int:
    """Raise the process's limit of descriptors as far as the system allows; return it, 0 if the system counts none."""
    if sys.platform == "win32":
        return 0
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and (soft < hard or hard == resource.RLIM_INFINITY):
        with suppress(ValueError, OSError):  # some systems allow fewer than they say
            resource.setrlimit(resource.RLIMIT_NOFILE, (_UNLIMITED if hard == resource.RLIM_INFINITY else hard, hard))
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return _UNLIMITED if soft == resource.RLIM_INFINITY else soft


def connection_limit(wanted: int, descriptors: int) -> int:
    """Return the number of connections to keep.

    Args:
        wanted: The setting; 0 for as many as the descriptors allow.
        descriptors: Of the process; 0 where they are not counted.
    """
    if not descriptors:
        return wanted or _UNLIMITED
    allowed = max(8, descriptors - min(_RESERVE, descriptors // _RESERVE_PART))
    return min(wanted, allowed) if wanted else allowed


class Connections:
    """The open connections of a process, those that were silent for longest first.

    When there are too many, in all or from one address, the idlest of those goes: one that has sent nothing or a part
    of a head before one whose body is waited for, and none that is being answered.

    Args:
        most: Connections in all.
        proxies: Addresses and networks of proxies, behind which many clients are; `*` for all.
        time: Seconds of a clock that never goes back.
    """

    def __init__(self, most: int, proxies: Sequence[str] = (), time: Callable[[], float] = monotonic) -> None:
        self._most = most
        self._proxies = [ipaddress.ip_network(proxy, strict=False) for proxy in proxies if proxy != "*"]
        self._all_proxies = "*" in proxies
        self._time = time
        self._open: OrderedDict[Connection, str] = OrderedDict()
        self._of: Counter[str] = Counter()
        self._dropped = 0
        self._told_at: float | None = None

    def __len__(self) -> int:
        return len(self._open)

    def opened(self, connection: Connection, peer: str) -> None:
        """Count a connection; if that is one too many, an idler one is closed, or this one."""
        address = "" if self._is_proxy(peer) else network(peer)
        self._open[connection] = address
        self._of[address] += 1
        if address and self._of[address] > max(1, self._most // SHARE):
            self._make_room(connection, address)
        elif len(self._open) > self._most:
            self._make_room(connection, None)

    def heard(self, connection: Connection) -> None:
        """It has sent something."""
        if connection in self._open:
            self._open.move_to_end(connection)

    def closed(self, connection: Connection) -> None:
        """It is gone."""
        address = self._open.pop(connection, None)
        if address is not None:
            self._of[address] -= 1
            if not self._of[address]:
                del self._of[address]

    def _make_room(self, newest: Connection, address: str | None) -> None:
        chosen, idleness = newest, 0
        for connection, of in self._open.items():
            if connection is newest or (address is not None and of != address):
                continue
            if connection.idleness > idleness:
                chosen, idleness = connection, connection.idleness
                if idleness == 2:
                    break
        self.closed(chosen)
        chosen.drop()
        self._tell(address)

    def _tell(self, address: str | None) -> None:
        """One line, and then one a minute that says how many went since."""
        self._dropped += 1
        now = self._time()
        if self._told_at is not None and now - self._told_at < _TOLD_EVERY_S:
            return
        self._told_at = now
        log(
            logger,
            logging.WARNING,
            "server.connections_short",
            open=len(self._open),
            most=self._most,
            closed=self._dropped,
            address=address or "",
            detail="idle connections are closed for new ones; see MAX_CONNECTIONS and the limit of open files",
        )
        self._dropped = 0

    def _is_proxy(self, peer: str) -> bool:
        if self._all_proxies:
            return True
        with suppress(ValueError):
            address = ipaddress.ip_address(peer.partition("%")[0])
            return any(address.version == net.version and address in net for net in self._proxies)
        return not peer  # a Unix socket
