"""When connections run short, the longest idle ones are closed, active ones stay, and the log says so once."""

from __future__ import annotations

import logging
import resource
from typing import Any

import pytest

from memhost.http.connections import Connections, connection_limit, raise_descriptor_limit


class Fake:
    """A connection."""

    def __init__(self, idleness: int = 2) -> None:
        self.idleness = idleness
        self.dropped = False

    def drop(self) -> None:
        self.dropped = True


def opened(connections: Connections, number: int, peer: str = "10.0.{}.1", idleness: int = 2) -> list[Fake]:
    found = [Fake(idleness) for _ in range(number)]
    for place, connection in enumerate(found):
        connections.opened(connection, peer.format(place))
    return found


def dropped(connections: list[Fake]) -> list[bool]:
    return [connection.dropped for connection in connections]


def test_the_one_that_was_silent_for_longest_goes() -> None:
    connections = Connections(4)
    first = opened(connections, 4)
    connections.heard(first[0])
    newest = opened(connections, 2, "10.1.{}.1")
    assert dropped(first) == [False, True, True, False]
    assert dropped(newest) == [False, False]
    connections.closed(first[3])
    assert len(connections) == 3
    connections.closed(first[3])
    connections.heard(first[3])
    assert len(connections) == 3
    assert dropped(opened(connections, 1, "10.2.0.1")) == [False]


def test_who_is_answered_stays_and_bodies_go_last() -> None:
    connections = Connections(3)
    answered = opened(connections, 1, "10.0.0.1", 0)
    waiting = opened(connections, 2, "10.1.{}.1", 1)
    idle = opened(connections, 1, "10.2.0.1", 2)
    assert (dropped(answered), dropped(waiting), dropped(idle)) == ([False], [True, False], [False])
    busy = opened(connections, 2, "10.3.{}.1", 0)
    assert (dropped(answered), dropped(waiting), dropped(idle)) == ([False], [True, True], [True])
    assert dropped(busy) == [False, False]
    assert dropped(opened(connections, 1, "10.4.0.1")) == [True]  # all others are being answered
    assert len(connections) == 3


def test_one_address_has_half_of_them() -> None:
    connections = Connections(6)
    others = opened(connections, 2)
    mine = opened(connections, 5, "192.0.2.7")
    assert dropped(mine) == [True, True, False, False, False]
    assert not any(dropped(others))
    network = opened(connections, 4, "2001:db8::{}")
    assert dropped(network).count(True) >= 1
    assert len(connections) <= 6


@pytest.mark.parametrize("proxies", [("192.0.2.0/24",), ("*",), ("192.0.2.7", "::1")])
def test_a_proxy_may_have_all(proxies: tuple[str, ...]) -> None:
    connections = Connections(6, proxies)
    assert not any(dropped(opened(connections, 6, "192.0.2.7")))
    assert dropped(opened(connections, 1, "192.0.2.7")) == [False]
    assert len(connections) == 6


def test_one_line_and_then_one_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = 5.0
    connections = Connections(2, time=lambda: now)
    with caplog.at_level(logging.WARNING):
        opened(connections, 12)
        now += 59
        opened(connections, 1)
        now += 1
        opened(connections, 1)
    lines: list[dict[str, Any]] = [record.__dict__["fields"] for record in caplog.records]
    assert [(line["closed"], line["most"]) for line in lines] == [(1, 2), (11, 2)]


@pytest.mark.parametrize(
    ("wanted", "descriptors", "most"),
    [
        (0, 1024, 960), (0, 128, 96), (5000, 1024, 960), (500, 1024, 500), (0, 0, 100_000), (70, 0, 70), (0, 8, 8),
    ],
)  # fmt: skip
def test_connections_stay_below_the_descriptors(wanted: int, descriptors: int, most: int) -> None:
    assert connection_limit(wanted, descriptors) == most


def test_the_soft_limit_is_raised_to_the_hard_one() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        assert raise_descriptor_limit() == resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= min(soft, 1024)
        assert hard in (resource.RLIM_INFINITY, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
