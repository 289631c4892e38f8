"""The auth provider `jwt`: how claims become bounds and roles, and which claims are required."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.support.oidc import Issuer, enter, trusting, why_not

from memhost.models import Scope
from memhost.testing.clock import FakeClock


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with Issuer() as running:
        yield running


@pytest.mark.parametrize(
    ("settings", "claims", "bounds", "roles"),
    [
        ({"claim_user": None}, {}, Scope(), {"writer"}),
        ({"claim_user": "email"}, {"email": "a@b"}, Scope(users=("a@b",)), {"writer"}),
        ({}, {"roles": ["memhost:reader", "other"]}, Scope(users=("ann",)), {"reader"}),
        ({}, {"scope": "openid memhost:admin"}, Scope(users=("ann",)), {"writer"}),
        ({}, {"scope": "openid memhost:operator memhost:reader"}, Scope(users=("ann",)), {"writer"}),
        ({}, {"scope": "memhost:reader"}, Scope(users=("ann",)), {"reader"}),
        ({}, {"scope": ["memhost:reader"], "roles": ["memhost:admin"]}, Scope(users=("ann",)), {"reader"}),
        ({}, {"scope": "openid email", "roles": ["memhost:admin"]}, Scope(), {"admin"}),
        ({"default_role": None}, {"scope": "memhost:admin"}, Scope(users=("ann",)), set()),
        ({"claim_roles": ("roles", "scope")}, {"scope": "memhost:admin"}, Scope(), {"admin"}),
        ({}, {"roles": "memhost:admin"}, Scope(), {"admin"}),
        ({}, {"roles": ["admin", {"a": 1}], "scope": 5}, Scope(users=("ann",)), {"writer"}),
        ({"default_role": None}, {}, Scope(users=("ann",)), set()),
        (
            {"claim_roles": ("realm_access.roles",), "role_names": {"memory-admins": "admin"}},
            {"realm_access": {"roles": ["memory-admins"]}},
            Scope(),
            {"admin"},
        ),
        (
            {"claim_tenant": "https://acme.com/org", "claim_namespaces": "teams"},
            {"https://acme.com/org": "acme", "teams": ["red", "blue"]},
            Scope(tenant="acme", namespaces=("red", "blue"), users=("ann",)),
            {"writer"},
        ),
        ({"claim_namespaces": "team"}, {"team": "red"}, Scope(namespaces=("red",), users=("ann",)), {"writer"}),
        ({"claim_namespaces": "team"}, {"team": []}, Scope(namespaces=(), users=("ann",)), {"writer"}),
    ],
)
async def test_claims_become_bounds_and_roles(
    issuer: Issuer,
    tmp_path: Path,
    settings: Mapping[str, Any],
    claims: Mapping[str, Any],
    bounds: Scope,
    roles: set[str],
) -> None:
    async with trusting(issuer, tmp_path, FakeClock(), **settings) as provider:
        caller = await enter(provider, issuer.token(**claims))
        assert (caller.bounds, set(caller.roles)) == (bounds, roles)


@pytest.mark.parametrize(
    ("claim", "granted", "channel"),
    [
        ("tool", False, "tool"),
        ("agent", False, "agent"),
        ("user", False, None),
        ("operator", False, None),
        ("tool", True, "tool"),
        ("user", True, "user"),
        ("operator", True, "operator"),
    ],
)
async def test_the_claim_of_a_channel_only_lowers_unless_the_issuer_may_grant(
    issuer: Issuer, tmp_path: Path, claim: str, granted: bool, channel: str | None
) -> None:
    fields = {"claim_channel": "app.channel", "channel_grants": granted}
    async with trusting(issuer, tmp_path, FakeClock(), **fields) as provider:
        assert (await enter(provider, issuer.token(app={"channel": claim}))).channel == channel
    async with trusting(issuer, tmp_path, FakeClock()) as provider:
        assert (await enter(provider, issuer.token(app={"channel": claim}))).channel is None


@pytest.mark.parametrize(
    ("settings", "claims"),
    [
        ({"claim_channel": "channel"}, {}),
        ({"claim_channel": "channel"}, {"channel": "boss"}),
        ({"claim_channel": "channel"}, {"channel": ["user"]}),
        ({"claim_channel": "channel", "channel_grants": True}, {"channel": "User"}),
        ({"claim_user": "email"}, {}),
        ({"claim_user": "email"}, {"email": ""}),
        ({"claim_user": "email"}, {"email": ["a"]}),
        ({"claim_tenant": "org.id"}, {"org": "x"}),
        ({"claim_namespaces": "team"}, {}),
        ({"claim_namespaces": "team"}, {"team": [1]}),
        ({"claim_namespaces": "team"}, {"team": ""}),
        ({"claim_namespaces": "team"}, {"team": ["red", ""]}),
        ({"claim_tenant": "org"}, {"roles": "memhost:admin"}),
    ],
)
async def test_a_claim_that_bounds_must_be_there(
    issuer: Issuer, tmp_path: Path, settings: Mapping[str, Any], claims: Mapping[str, Any]
) -> None:
    async with trusting(issuer, tmp_path, FakeClock(), **settings) as provider:
        assert "claim" in await why_not(provider, issuer.token(**claims))
