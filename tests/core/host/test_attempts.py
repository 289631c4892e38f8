"""Failed logins are limited per address."""

from __future__ import annotations

import pytest

from memhost.errors import TooManyRequests
from memhost.host.login_throttle import LoginThrottle
from memhost.ports import Credentials
from memhost.testing.clock import FakeClock


def sent(token: str, peer: str = "10.0.0.1") -> Credentials:
    return Credentials(scheme="bearer", token=token, peer=peer)


def refused(attempts: LoginThrottle, credentials: Credentials) -> int:
    """Seconds to wait, 0 if the credentials may be tried."""
    try:
        attempts.check(credentials)
    except TooManyRequests as error:
        return error.retry_after_s
    return 0


def failing(times: int, *, peer: str = "10.0.0.1", limit: int = 3) -> tuple[LoginThrottle, FakeClock]:
    clock = FakeClock()
    attempts = LoginThrottle(limit, clock)
    attempts.passed(sent("good", peer))
    for number in range(times):
        attempts.check(sent(f"bad {number}", peer))
        attempts.failed(sent(f"bad {number}", peer))
    return attempts, clock


def test_an_address_must_wait_for_the_rest_of_a_minute_after_too_many_failures() -> None:
    attempts, clock = failing(3)
    assert refused(attempts, sent("bad")) == 60
    assert refused(attempts, sent("new")) == 60
    clock.advance(45)
    assert refused(attempts, sent("bad")) == 15
    clock.advance(15)
    assert refused(attempts, sent("bad")) == 0
    attempts.failed(sent("bad"))
    assert refused(attempts, sent("bad")) == 0


def test_fewer_failures_other_addresses_and_no_credentials_are_let_through() -> None:
    assert refused(failing(2)[0], sent("bad")) == 0
    attempts, _ = failing(3)
    assert refused(attempts, sent("bad", "10.0.0.2")) == 0
    assert refused(attempts, Credentials(peer="10.0.0.1")) == 0
    attempts.failed(Credentials(peer="10.0.0.9"))
    assert refused(failing(30, limit=0)[0], sent("bad")) == 0
    assert refused(failing(30, peer="")[0], sent("bad", "")) == 0


def test_credentials_that_were_valid_are_still_tried_until_they_fail() -> None:
    attempts, _ = failing(3)
    assert refused(attempts, sent("good")) == 0
    attempts.failed(sent("good"))
    assert refused(attempts, sent("good")) > 0


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.2", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("no:address", "no:address", True),
    ],
)
def test_addresses_of_ipv6_count_by_their_network(one: str, other: str, same: bool) -> None:
    attempts, _ = failing(3, peer=one)
    assert bool(refused(attempts, sent("bad", other))) is same


def test_it_keeps_a_bounded_number_of_addresses() -> None:
    attempts, _ = failing(3)
    for number in range(10_000):
        attempts.failed(sent("bad", f"peer {number}"))
    assert refused(attempts, sent("bad")) == 0
